"""The application: the store, the guard, and the pages."""

import asyncio
import contextlib
import importlib
import logging
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from livepapers import __version__
from livepapers.core.errors import InputError, StoreError
from livepapers.lab.store import Store
from livepapers.papers import catalogue
from livepapers.web import applying, mail, news, running, search, subscriptions, wrong
from livepapers.web.guard import Guard, Secret
from livepapers.web.rendering import STATIC, KeptFiles, refused
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore

HOUR = 3600.0
SETTLED = 1.0
"""Seconds after the start that belong to those who have waited for it."""
ROUTES = ("home", "search", "paper", "apply", "runs", "subscribe", "feeds", "api", "reference")
"""The modules of `web/routes`; each holds a `router`."""


def create_app(settings: Settings) -> FastAPI:
    """The page as an ASGI application; its store is opened here and closed when the server ends.

    Raises:
        InputError: The store or the secret cannot be opened.
    """
    store = PageStore(settings.store)
    runs = Store(settings.store, create=False)
    store.sync(catalogue.load().values())
    news.record(store)
    _tidy(store, runs, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        closing = asyncio.Event()
        warming = asyncio.create_task(_warm(store, closing))
        tidying = asyncio.create_task(_tidy_hourly(store, runs, settings))
        yield
        tidying.cancel()
        closing.set()
        await warming
        runs.close()
        store.close()

    app = FastAPI(
        title="livepapers", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )  # fmt: skip
    app.state.settings, app.state.secret = settings, Secret(store.home)
    app.state.store, app.state.runs, app.state.began = store, runs, time.time()
    for name in ROUTES:
        app.include_router(importlib.import_module(f"livepapers.web.routes.{name}").router)
    app.mount("/static", KeptFiles(directory=STATIC), name="static")
    for refusal in (HTTPException, RequestValidationError, InputError, OSError):
        app.add_exception_handler(refusal, _told)
    # no secret is in a page but those that its address names, so the length of an answer tells nothing
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(Guard, settings=settings)
    return app


async def _warm(store: PageStore, closing: asyncio.Event) -> None:
    """Make the index of ideas, seconds of work with thousands of papers, once the first pages have been answered."""
    try:
        await asyncio.wait_for(closing.wait(), SETTLED)
    except TimeoutError:
        with contextlib.suppress(StoreError):  # the first search makes it then
            await asyncio.to_thread(search.warm, store)


def _tidy(store: PageStore, runs: Store, settings: Settings) -> None:
    """Delete what the page has promised to delete by now."""
    mail.forget(settings, store.home, subscriptions.tidy(store, time.time()))
    applying.tidy(store.home, time.time())
    running.tidy(store.home, runs, time.time())


async def _tidy_hourly(store: PageStore, runs: Store, settings: Settings) -> None:
    while True:
        await asyncio.sleep(HOUR)
        try:
            await asyncio.to_thread(_tidy, store, runs, settings)
        except (OSError, SQLAlchemyError, StoreError):  # a full disk, a busy store: the next hour tries again
            logging.getLogger(__name__).exception("what is due could not be deleted")


async def _told(request: Request, error: Exception) -> Response:
    return refused(request, *wrong.told(error))
