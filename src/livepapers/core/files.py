"""Files that are either whole or not there: write beside, fsync, rename."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from livepapers.core.errors import InputError, plainly


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash, sees the old file or the new one, never a part."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the platform can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def new_folder(path: Path | str, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder that becomes `path` when the block ends well, and vanishes when it does not.

    Args:
        path: Where the folder shall be.
        replace: Whether an existing folder may be replaced; otherwise one that holds files raises `InputError`.
    """
    path = Path(path).resolve()  # behind a link is where the files go
    _check_free(path, replace=replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    made.chmod(0o755)
    try:
        yield made
        if path.exists():
            shutil.rmtree(path)
        made.replace(path)
        sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


@contextlib.contextmanager
def unfinished(output: Path | str | None) -> Iterator[Path | None]:
    """Yield the folder beside `output` that keeps checkpoints, for this process alone; None for no output.

    It vanishes when the block ends well, and when it does not and there is no checkpoint to go on from.

    Raises:
        InputError: Another process works on it, or has finished meanwhile; nothing was done.
    """
    if output is None:
        yield None
        return
    output = Path(output)
    folder = partial_of(output)
    lock = folder / "lock"
    with _opened(lock, output) as file:
        _lock(file, output)
        if not lock.exists() or not os.path.samestat(os.fstat(file.fileno()), lock.stat()):
            raise _taken(output)  # we hold what another process has thrown away as it ended
        try:
            _check_free(output)  # whoever held the lock while we read our input may have filled it
            yield folder
        except BaseException:
            if list(folder.iterdir()) == [lock]:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def partial_of(output: Path) -> Path:
    """The folder that keeps the checkpoints of work whose output will be `output`."""
    place = output.resolve()
    return place.with_name(place.name + ".partial")


def _opened(lock: Path, output: Path) -> TextIO:
    """The file that is locked, in a folder that another process may take away as it ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        return lock.open("w")
    except FileNotFoundError:
        raise _taken(output) from None


def _taken(output: Path) -> InputError:
    cause = "another process works on it; wait for it or choose another"
    return InputError.of("output", output, expected="a folder of this command alone", cause=cause)


def _lock(file: TextIO, output: Path) -> None:
    """Hold `file` until it is closed: by the system too, so a killed process blocks nobody."""
    if os.name != "posix":
        return
    import fcntl  # only there

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(output) from None


def check_output_folder(path: Path | str) -> None:
    """Raise `InputError` if `path`, which a user typed, cannot become an output folder, before any work is spent."""
    path = Path(path)
    with _one_line(path, field="output"):
        place = path.resolve()
        _check_free(place)
        if place == Path.cwd():
            cause = "a new one takes its place; name one inside it"
            raise InputError.of("output", str(path), expected="another folder than the present one", cause=cause)
        _check_parent(path, place, field="output")
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}."):
            pass


def check_output_file(path: Path, *, field: str) -> None:
    """Raise `InputError` if `path`, which a user typed, cannot become a file, before any work is spent."""
    with _one_line(path, field=field):
        if path.exists() and not path.is_file():
            raise InputError.of(field, str(path), expected="a file", cause="something else of that name exists")
        _check_parent(path, path.absolute(), field=field)
        with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}."):
            pass


@contextlib.contextmanager
def _one_line(path: Path, *, field: str) -> Iterator[None]:
    """Turn what the system says about `path` into one line: too long a name, no right to write, a circle of links."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError.of(field, str(path), expected="a writable place", cause=plainly(error)) from None


def _check_parent(path: Path, place: Path, *, field: str) -> None:
    """Refuse a place in a folder that is not there: it is mistyped more often than meant."""
    if not place.parent.is_dir():
        cause = "mistyped, or to be made first?"
        raise InputError.of(field, str(path), expected="a place in a folder that exists", cause=cause)


def _check_free(path: Path, *, replace: bool = False) -> None:
    """Raise `InputError` if a folder at `path` would overwrite something."""
    if path.is_file():
        raise InputError.of("output", str(path), expected="a folder", cause="a file of that name exists")
    if path.is_dir() and any(path.iterdir()) and not replace:
        raise InputError.of(
            "output", str(path), expected="a new or empty folder", cause="it holds files; choose another"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
