"""Hot functions through `torch.compile`, decided once and never by a clock.

Planned for: pdppo, fishery, sindy-rl.

Compiled code adds in another order than PyTorch's own kernels, so a run is one or the other from its first call to its
last, and a checkpoint says which. Compiling takes seconds to minutes, so nothing is compiled unless a setting says so.
"""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from livepapers.core.errors import InputError

Compile = Literal["never", "auto", "always"]


class Compiler:
    """What wraps the hot functions of one learner.

    Args:
        mode: "never"; "auto": where there is a C++ compiler and the functions can be traced, else not, with one line of
            warning; "always": raises `InputError` where "auto" would warn.
    """

    def __init__(self, mode: Compile) -> None:
        self.mode, self.on = mode, mode != "never"
        if self.on and (missing := _missing_compiler()):
            self._give_up(missing)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled at its first call as long as `on`; it must be pure."""
        if not self.on:
            return function
        from torch._dynamo.exc import TorchDynamoException
        from torch._inductor.exc import InductorError

        compiled = torch.compile(function, fullgraph=True, dynamic=False)

        def call(*arguments: Any) -> Any:
            if self.on:
                try:
                    return compiled(*arguments)
                except (TorchDynamoException, InductorError) as error:
                    self._give_up(f"{function.__name__}: {error}")
            return function(*arguments)

        return call

    def _give_up(self, cause: str) -> None:
        cause = next((line for line in cause.splitlines() if line.strip()), "no message")
        if self.mode == "always":
            expected = "auto or never, as this cannot be compiled here"
            raise InputError.of("compile", self.mode, expected=expected, cause=cause)
        self.on = False
        warnings.warn(f"compile: going on without, slower ({cause})", stacklevel=3)


def _missing_compiler() -> str:
    """What is wrong with the C++ compiler; empty when nothing is."""
    from torch._inductor.cpp_builder import get_cpp_compiler  # importing it takes seconds
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "no C++ compiler was found"
    return ""


def tanh(x: Tensor) -> Tensor:
    """tanh as a quotient of polynomials, to 4e-7 of its value: for compiled code, which has no fast tanh of its own.

    Coefficients are those of Eigen's `ptanh_float`, which XLA uses too.
    """
    return _Tanh.apply(x)  # type: ignore[return-value]


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clamp(-LARGEST, LARGEST)
        square = x * x
        upper, lower = torch.full_like(square, UPPER[0]), torch.full_like(square, LOWER[0])
        for coefficient in UPPER[1:]:
            upper = upper * square + coefficient
        for coefficient in LOWER[1:]:
            lower = lower * square + coefficient
        y = x * upper / lower
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return gradient * (1.0 - y * y)


LARGEST = 7.90531110763549805
UPPER = (-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
         1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03)  # fmt: skip
LOWER = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
"""Of the odd numerator x (... + u x^2) and the even denominator, highest power first."""
