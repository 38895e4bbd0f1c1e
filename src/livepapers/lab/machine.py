"""What a run was measured on: the machine, the versions, the commit, and which process drives it."""

import hashlib
import os
import platform
import shutil
import socket
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("livepapers", "torch", "numpy", "scipy", "scikit-learn", "networkx", "gymnasium", "pandas", "safetensors")


@dataclass(frozen=True)
class Process:
    """A process that drives a run: a host, and "pid:start time" there."""

    host: str
    identity: str

    def may_run(self) -> bool:
        """False when the process is known to be gone; another host's processes cannot be seen from here."""
        if self.host != socket.gethostname():
            return True
        pid = self.identity.partition(":")[0]
        return self.identity == _identity(int(pid))


def this_process() -> Process:
    """The process that asks."""
    return Process(socket.gethostname(), _identity(os.getpid()))


def process(pid: int) -> Process:
    """A process of this host; its identity is empty when it is gone."""
    return Process(socket.gethostname(), _identity(pid))


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system and thread counts, JSON-ready; what cannot be found out is left out."""
    found: dict[str, Any] = {
        "cpu": _cpu_field("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads per worker": 1,
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    features = _cpu_field("flags") + repr(sorted(versions().items())) + repr(sorted(found.items()))
    found["environment"] = hashlib.sha256(features.encode()).hexdigest()[:16]
    return found


def versions() -> dict[str, str]:
    """The versions of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


CHANGED = "+changes"
"""What follows the commit of a run whose code was not as committed."""


def git_commit() -> str | None:
    """The commit this code was checked out at, marked `CHANGED` when it differs; None outside a checkout.

    Any change of a tracked file counts, and any new file of the package; results do not, which runs write themselves.
    """
    here = Path(__file__)
    if _git("ls-files", "--error-unmatch", here.name) is None:  # installed below some other repository
        return None
    package = here.parents[1]
    committed_apart = f":(exclude){package / 'results'}"
    commit = _git("rev-parse", "HEAD")
    edited = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", committed_apart)
    added = _git("status", "--porcelain", "--untracked-files=all", "--", str(package), committed_apart)
    if commit is None:
        return None
    return commit + (CHANGED if edited is None or edited or added else "")


def same_code(one: str, other: str) -> bool:
    """Whether the package is the same at two commits, as `git_commit` gives them; not where nobody can tell."""
    package = Path(__file__).parents[1]
    compared = ("--", str(package), f":(exclude){package / 'results'}")
    return one == other or _git("diff", "--quiet", one, other, *compared) is not None


def _git(*arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def _identity(pid: int) -> str:
    """The text pid:start, with the kernel's clock at its birth; pid: where /proc is missing; empty when it is gone."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else f"{pid}:{fields[19]}"
    if os.name != "posix":  # signal 0 asks only on POSIX; elsewhere the heartbeat alone tells
        return f"{pid}:"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        return f"{pid}:"  # it is there, and another user's
    return f"{pid}:"


def _cpu_field(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
