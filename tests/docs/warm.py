"""The documents' commands as people type them, without waiting for the same libraries before each of them.

`Warm` is a fresh interpreter that has loaded the libraries, nothing of livepapers. In the shells that it gives,
`livepapers` is a program that hands its words, folder, environment and streams over; a fork of the interpreter then
imports livepapers, does what was asked and ends with the exit status. Blocks of Python run in forks as well.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Self

LIBRARIES = ("torch", "scipy.optimize", "scipy.stats", "pandas", "gymnasium", "pydantic", "click", "rich.progress")
CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    socket.send_fds(line, [b"!"], [0, 1, 2])
    asked = {{"kind": "livepapers", "words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    line.sendall(json.dumps(asked).encode())
    line.shutdown(socket.SHUT_WR)
    sys.exit(int(line.recv(16) or b"70"))
"""


class Warm:
    """The interpreter; a context manager that ends it."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._address = str(Path(self._folder.name) / "line")
        command = [sys.executable, str(Path(__file__)), self._address]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"
        program = Path(self._folder.name) / "livepapers"
        program.write_text(CLIENT.format(python=sys.executable, address=self._address))
        program.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        with self._server:
            self._server.terminate()
        self._folder.cleanup()

    def run(self, kind: str, block: str, folder: Path) -> None:
        """Run a block of "bash", "sh" or "python" in a folder; an assertion fails when it does."""
        with tempfile.TemporaryFile("w+") as told:
            status = (self._python if kind == "python" else self._shell)(block, folder, told)
            told.seek(0)
            assert status == 0, f"{block}\n{told.read()}"

    def _shell(self, block: str, folder: Path, told: Any) -> int:
        path = os.pathsep.join([self._folder.name, str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euc", block], cwd=folder, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL,
            stdout=told, stderr=told, check=False,
        )  # fmt: skip
        return done.returncode

    def _python(self, block: str, folder: Path, told: Any) -> int:
        with socket.socket(socket.AF_UNIX) as line, Path(os.devnull).open() as nothing:
            line.connect(self._address)
            socket.send_fds(line, [b"!"], [nothing.fileno(), told.fileno(), told.fileno()])
            asked = {"kind": "python", "words": [block], "folder": str(folder), "environment": dict(os.environ)}
            line.sendall(json.dumps(asked).encode())
            line.shutdown(socket.SHUT_WR)
            return int(line.recv(16) or b"70")


def serve(address: str) -> None:
    """Fork for each one that calls, until SIGTERM."""
    for name in LIBRARIES:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is forgotten; the caller hears from the fork
        print("ready", flush=True)
        while True:
            line, _ = door.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                status = answer(line)
                line.sendall(str(status).encode())
                os._exit(0)
            line.close()


def answer(line: socket.socket) -> int:
    """Do what a caller asks, with its streams; the exit status."""
    _, streams, _, _ = socket.recv_fds(line, 1, 3)
    asked = json.loads(b"".join(iter(lambda: line.recv(1 << 16), b"")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    if asked["kind"] == "livepapers":
        from livepapers.cli.main import call

        return call(asked["words"])
    sys.path[0] = ""
    warnings.simplefilter("error")
    try:
        exec(compile(asked["words"][0], "block", "exec"), {"__name__": "__main__"})
    except BaseException:  # noqa: BLE001 - as an interpreter ends: the traceback and 1
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]  # there is one
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
