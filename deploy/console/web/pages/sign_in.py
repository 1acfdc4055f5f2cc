"""Signing in and out."""

from __future__ import annotations

import threading
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from deploy.console.people.passwords import NOBODYS, matches
from deploy.console.people.users import User
from deploy.console.web.rendering import pages_of
from deploy.console.web.service import Service
from deploy.console.web.visits import (
    Visit,
    address_of,
    cookie_name,
    form_of,
    local_page,
    one,
    send_cookie,
    service_of,
    session_of,
    wanting,
)
from schemas.audit_chain import Deed, Identity

router = APIRouter()
_HASHING: Final = threading.BoundedSemaphore(2)
"""A comparison costs 32 MiB and a tenth of a second: strangers may not have many at once."""


@router.get("/sign-in")
def form(request: Request, back_to: str = "/") -> Response:
    """The form."""
    session = session_of(request)
    if session is not None and session.user is not None:
        return RedirectResponse(local_page(back_to), 303)
    return _page(request, back_to, "")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Check who it is; the answer is the same for a wrong name and a wrong password."""
    # No form of ours is too old to sign in with while its tab is open: without a session it is shown again.
    if session_of(request) is None:
        return _page(request, "/", "The form was too old. Please try again.")
    fields = await form_of(request)
    service, address = service_of(request), address_of(request)
    name, password, back_to = one(fields, "name").strip(), one(fields, "password"), one(fields, "back_to")
    wait = service.throttle.wait_seconds(name, address)
    if wait > 0:
        return _page(request, back_to, f"Too many attempts. Try again in {wait + 1:.0f} seconds.", 429)
    user = await run_in_threadpool(_checked, service, name, password)
    if user is None:
        service.throttle.failed(name, address)
        service.audit.note(Deed(name[:63] or "?", "SignInFailed", name[:63] or "?", reference=address))
        return _page(request, back_to, "Name or password is wrong.", 401)
    service.throttle.succeeded(name, address)
    before = session_of(request)
    if before is not None:
        service.sessions.end(before)
    service.audit.note(Deed(user.name, "SignedIn", user.name, reference=address, identified_by=Identity.SIGN_IN))
    response = RedirectResponse("/account" if user.must_change else local_page(back_to), 303)
    send_cookie(response, service, service.sessions.new(user))
    return response


@router.post("/sign-out", dependencies=[Depends(form_of)])
def sign_out(visit: Visit = Depends(wanting(with_any_password=True))) -> Response:  # noqa: B008
    """End the session, whoever has its cookie."""
    service = visit.service
    service.sessions.end(visit.session)
    service.audit.note(visit.deed("SignedOut", visit.user.name, reference=visit.address))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(
        cookie_name(service), path="/", secure=service.settings.is_secure, httponly=True, samesite="strict"
    )
    return response


def _checked(service: Service, name: str, password: str) -> User | None:
    user = service.users.of(name)
    with _HASHING:
        is_right = matches(password, user.password if user is not None else NOBODYS)
    return user if is_right else None


def _page(request: Request, back_to: str, problem: str, status: int = 200) -> Response:
    service, session = service_of(request), session_of(request)
    is_new = session is None or session.user is not None
    if session is None or is_new:
        session = service.sessions.new()
    text = pages_of(request).render(
        "sign_in.html",
        token=service.sessions.token(session),
        problem=problem,
        back_to=local_page(back_to),
        nobody=not service.users.all(),
    )
    response = HTMLResponse(text, status)
    if is_new:
        send_cookie(response, service, session)
    return response
