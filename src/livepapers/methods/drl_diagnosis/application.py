"""placeholder"""


def apply() -> None:
    """x"""
