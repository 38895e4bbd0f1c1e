"""livepapers: the daily papers page where papers run."""


def __getattr__(name: str) -> str:
    """Look up `__version__` when asked: `importlib.metadata` costs more than all of `livepapers list`."""
    if name != "__version__":
        raise AttributeError(f"module 'livepapers' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("livepapers")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+source"
