"""A page over a store of its own, and a reader whose browser sends what browsers send."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from livepapers.web.app import create_app
from livepapers.web.settings import Settings

BASE = "http://127.0.0.1:8765"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return create_app(Settings(store=str(tmp_path / "store.sqlite3"), outbox=str(tmp_path / "outbox")))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE, headers=SAME_ORIGIN) as made:
        yield made
