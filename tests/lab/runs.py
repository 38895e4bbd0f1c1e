"""A run and a cell's result, as the tests of the store need them."""

from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import Cell

CELL = Cell("ours", "s/1", 0)


def new_run(store: Store, slug: str = "paper") -> tuple[str, str]:
    return store.create_run(
        slug, 1, preset="smoke", options={"seeds": None}, machine={"cores": 2}, versions={"numpy": "2"}, git_commit=None
    )


def finished(cell: Cell = CELL, **values: float) -> CellResult:
    return CellResult(cell, "finished", measurements=values, wall=1.5, work={"steps": 3})
