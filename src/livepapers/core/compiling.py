"""Hot functions through `torch.compile`: decided once, by what is there and never by a clock.

Compiled code adds in another order than PyTorch's own kernels, so a run is one or the other from its first call to its
last, and a checkpoint says which. Compiling takes seconds to minutes, so nothing is compiled unless a setting says so.
"""

import warnings
from collections.abc import Callable
from typing import Any, Literal

from livepapers.core.errors import CorruptFileError, InputError

Compile = Literal["never", "auto", "always"]

OPTIONS: dict[str, Any] = {"cpp.enable_floating_point_contract_flag": "fast"}
"""Multiply and add in one instruction: fewer of them, and one rounding less."""

MOST_SHAPES = 1024
"""Of one function's arguments, in one process; PyTorch's own limit is 8, beyond which it fails."""


class Compiler:
    """What wraps the hot functions of one learner or task.

    Args:
        mode: "never"; "auto": where there is a C++ compiler and the functions can be traced, else not, with one line of
            warning; "always": raises `InputError` where "auto" would warn.

    Attributes:
        on: Whether functions are compiled, as far as is known.
        ran: Whether one was.
    """

    def __init__(self, mode: Compile) -> None:
        if mode not in ("never", "auto", "always"):
            raise InputError.of("compile", mode, expected="never, auto or always")
        self.mode, self.on = mode, mode != "never"
        self.ran = False
        if self.on and (missing := missing_compiler()):
            self._give_up(missing)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled at its first call as long as `on`; it must be pure, so that it can be tried."""
        if not self.on:
            return function
        import torch
        from torch._dynamo.exc import TorchDynamoException
        from torch._inductor.exc import InductorError

        # one function serves learners and batches of many shapes; each is compiled for itself
        dynamo = torch._dynamo.config
        dynamo.recompile_limit = max(dynamo.recompile_limit, MOST_SHAPES)
        dynamo.accumulated_recompile_limit = max(dynamo.accumulated_recompile_limit, MOST_SHAPES)
        compiled = torch.compile(function, fullgraph=True, dynamic=False, options=OPTIONS)
        tried = False

        def call(*arguments: Any) -> Any:
            nonlocal tried
            if self.on and tried:
                return compiled(*arguments)
            if self.on:
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch's tracer about itself
                        made = compiled(*arguments)
                except (TorchDynamoException, InductorError) as error:
                    self._give_up(f"{function.__name__}: {error}")
                else:
                    self.ran = tried = True
                    return made
            return function(*arguments)

        return call

    @property
    def undecided(self) -> bool:
        """Whether the first call will tell if the functions can be compiled."""
        return self.on and not self.ran

    def check(self, compiled: bool) -> None:
        """Raise `CorruptFileError` unless a run that was compiled, or was not, can go on bit for bit."""
        if compiled and not self.on:
            raise CorruptFileError("state: made by compiled code, expected one made without (compile is off here)")
        if not compiled and self.on and (self.mode == "always" or self.ran):
            raise CorruptFileError("state: made without compiled code, expected one made with it")

    def follow(self, compiled: bool) -> None:
        """Go on as a checked state says: "auto" stays off after it once was."""
        self.on = compiled

    def _give_up(self, cause: str) -> None:
        cause = next((line for line in cause.splitlines() if line.strip()), "no message")
        if self.mode == "always":
            expected = "auto or never, as this cannot be compiled here"
            raise InputError.of("compile", self.mode, expected=expected, cause=cause)
        self.on = False
        warnings.warn(f"compile: going on without, slower ({cause})", stacklevel=3)


def missing_compiler() -> str:
    """What is wrong with the C++ compiler; empty when nothing is."""
    from torch._inductor.cpp_builder import get_cpp_compiler  # importing it takes seconds
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "no C++ compiler was found"
    return ""
