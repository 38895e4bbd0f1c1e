"""Subscribe: a digest by mail, asked for, confirmed and ended; and what is kept of a reader, to see and to delete."""

import logging
import time
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Form, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from livepapers.core.errors import InputError
from livepapers.web import guard, mail, subscriptions, wrong
from livepapers.web.rendering import PRIVATE, page

router = APIRouter(include_in_schema=False)
log = logging.getLogger(__name__)

EMPTY: Mapping[str, Any] = {"address": "", "frequency": "daily", "query": "", "wrong": "", "mine": "", "mine_wrong": ""}
"""What is typed into the forms, and what was wrong with it."""
GONE = "this link is not known: it was used already, is too old, or was not copied whole"


@router.get("/subscribe")
def form(request: Request, q: str = "") -> Response:
    """The form, filled in with a search where one came from its results."""
    return page(request, "subscribe.html.j2", **{**EMPTY, "query": q})


@router.post("/subscribe")
def subscribe(
    request: Request,
    background: BackgroundTasks,
    address: Annotated[str, Form()] = "",
    frequency: Annotated[str, Form()] = "daily",
    query: Annotated[str, Form()] = "",
) -> Response:
    """Send a link to confirm with; the answer is the same whether the address is known or not."""
    try:
        to, often = subscriptions.checked_address(address), subscriptions.checked_frequency(frequency)
        search = subscriptions.checked_query(query)
        guard.limit(request, "subscribe")  # of what could be sent: typos are no flood
    except (InputError, HTTPException) as error:
        return _refused(request, error, "wrong", address=address, frequency=frequency, query=query)
    ask_to_confirm(request, background, to, often, search)
    return page(request, "subscribe_sent.html.j2", what="confirm")


@router.get("/subscribe/confirm/{token}")
def to_confirm(request: Request, token: str) -> Response:
    """A button: programs that follow the links in mails must not confirm anything."""
    return _confirming(request, token, subscriptions.asked, done=False)


@router.post("/subscribe/confirm/{token}")
def confirm(request: Request, token: str) -> Response:
    """Begin the subscription."""
    return _confirming(request, token, subscriptions.confirm, done=True)


@router.get("/subscribe/stop/{token}")
def to_stop(request: Request, token: str) -> Response:
    """A button, as for `to_confirm`."""
    found = subscriptions.stoppable(request.app.state.store, request.app.state.secret, token)
    return _private(request, "subscribe_stop.html.j2", found=_known(found), done=False)


@router.post("/subscribe/stop/{token}")
def stop(request: Request, token: str) -> Response:
    """End the subscription, at once and without a question (RFC 8058): for the button, and for mail providers."""
    state = request.app.state
    found = _known(subscriptions.stoppable(state.store, state.secret, token))
    subscriptions.stop(state.store, state.secret, token)
    if not subscriptions.kept(state.store, found.address):
        mail.forget(state.settings, state.store.home, {found.address})
    return _private(request, "subscribe_stop.html.j2", found=None, done=True)


@router.post("/subscribe/mine")
def ask_mine(request: Request, background: BackgroundTasks, address: Annotated[str, Form()] = "") -> Response:
    """Send a link to what is kept of an address; the answer is the same whether that is anything or not."""
    try:
        to = subscriptions.checked_address(address)
        guard.limit(request, "subscribe")
    except (InputError, HTTPException) as error:
        return _refused(request, error, "mine_wrong", mine=address)
    state, now = request.app.state, time.time()
    token = subscriptions.mine_token(state.store, state.secret, to, now)
    if subscriptions.may_mail(state.store, state.secret, to, now) and token is not None:
        link = f"{state.settings.base}/subscribe/mine/{token}"
        message = mail.compose(
            state.settings, to=to, subject="What livepapers keeps of you", template="mine", now=now, link=link
        )
        background.add_task(_send, request, message)
    return page(request, "subscribe_sent.html.j2", what="mine")


@router.get("/subscribe/mine")
def not_asked() -> Response:
    """Where a browser gets that loads the answer to a refused question again."""
    return RedirectResponse("/subscribe#kept", 303)


@router.get("/subscribe/mine/{token}")
def mine(request: Request, token: str) -> Response:
    """What is kept of an address."""
    address = _whose(request, token)
    kept = subscriptions.kept(request.app.state.store, address)
    return _private(request, "subscribe_mine.html.j2", address=address, kept=kept, token=token, done=False)


@router.get("/subscribe/mine/{token}/livepapers.json")
def export(request: Request, token: str) -> Response:
    """The same as a file."""
    kept = subscriptions.kept(request.app.state.store, _whose(request, token))
    name = {"Content-Disposition": 'attachment; filename="livepapers.json"'}
    return JSONResponse({"subscriptions": kept}, headers={**PRIVATE, **name})


@router.post("/subscribe/mine/{token}/delete")
def delete(request: Request, token: str) -> Response:
    """Delete all that is kept of an address."""
    address = _whose(request, token)
    state = request.app.state
    subscriptions.forget(state.store, state.secret, address)
    mail.forget(state.settings, state.store.home, {address})
    return _private(request, "subscribe_mine.html.j2", address=address, kept=[], token=token, done=True)


@router.get("/subscribe/votes.json")
def votes(request: Request) -> Response:
    """The votes of this browser's cookie, as a file."""
    reader = request.app.state.secret.reader(request)
    cast = subscriptions.votes_of(request.app.state.store, reader)
    name = {"Content-Disposition": 'attachment; filename="livepapers-votes.json"'}
    return JSONResponse({"votes": cast}, headers={**PRIVATE, **name})


@router.post("/subscribe/votes/delete")
def forget_votes(request: Request) -> Response:
    """Take back all votes of this browser's cookie, and the cookie."""
    store, reader = request.app.state.store, request.app.state.secret.reader(request)
    for vote in subscriptions.votes_of(store, reader):
        store.vote(vote["paper"], reader, up=False)
    answer = RedirectResponse("/subscribe#kept", 303)
    answer.delete_cookie(guard.READER)
    return answer


def _refused(request: Request, error: Exception, place: str, **typed: str) -> Response:
    """The forms with what was typed into one of them, and why it was refused at its place."""
    status, told, headers = wrong.told(error)
    answer = page(request, "subscribe.html.j2", http_status=status, **{**EMPTY, **typed, place: told})
    answer.headers.update(headers or {})
    return answer


def ask_to_confirm(
    request: Request, background: BackgroundTasks, to: str, often: subscriptions.Frequency, search: str
) -> None:
    """Send a link to confirm a subscription with, unless the address had enough of them; for the form and the API."""
    state, now = request.app.state, time.time()
    if subscriptions.may_mail(state.store, state.secret, to, now):
        token = subscriptions.ask(state.store, state.secret, to, often, search, now)
        link = f"{state.settings.base}/subscribe/confirm/{token}"
        # nothing that the form said is in this mail: whoever filled it in may not be who reads it
        message = mail.compose(
            state.settings, to=to, subject="Confirm your livepapers digest", template="confirm", now=now, link=link
        )
        background.add_task(_send, request, message)


def _send(request: Request, message: EmailMessage) -> None:
    """Send a mail after the answer has gone: how long that takes must not tell which addresses are known."""
    state = request.app.state
    try:
        fate = mail.send_one(state.settings, state.store.home, message)
    except mail.UnreachableError as error:
        log.error("a mail that was asked for on the page was not sent: %s", error)  # noqa: TRY400 - one line says all
        return
    if fate != "sent":
        log.error("a mail that was asked for on the page: %s", fate)


def _confirming(
    request: Request, token: str, find: Callable[..., subscriptions.Subscription | None], *, done: bool
) -> Response:
    """The page of a link that confirms: of one that was used, that it was."""
    known = request.app.state.store, request.app.state.secret, token, time.time()
    found = find(*known)
    already = None if found else subscriptions.already(*known)
    return _private(
        request, "subscribe_confirm.html.j2", found=_known(found or already), done=done, already=bool(already)
    )


def _whose(request: Request, token: str) -> str:
    address = subscriptions.mine(request.app.state.store, request.app.state.secret, token, time.time())
    if address is None:
        raise HTTPException(404, GONE, headers=PRIVATE)
    return address


def _known(found: subscriptions.Subscription | None) -> subscriptions.Subscription:
    if found is None:
        raise HTTPException(404, GONE, headers=PRIVATE)
    return found


def _private(request: Request, template: str, **values: Any) -> Response:
    answer = page(request, template, **values)
    answer.headers.update(PRIVATE)
    return answer
