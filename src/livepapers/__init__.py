"""livepapers: the daily papers page where every paper runs."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("livepapers")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+source"

__all__ = ["__version__"]
