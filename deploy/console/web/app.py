"""Puts the pages together, and turns every error into a page without a trace of our insides."""

from __future__ import annotations

import logging
from typing import Final
from uuid import uuid4

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from deploy.console.web.guard import Guard, GuardPolicy
from deploy.console.web.pages import (
    account,
    approvals,
    audit,
    dead_letters,
    improvement,
    mismatches,
    orders,
    overview,
    parked,
    reviews,
    sign_in,
)
from deploy.console.web.rendering import Pages, address, pages_of
from deploy.console.web.service import Service
from deploy.console.web.visits import PasswordChangeNeeded, Refusal, SignInNeeded
from schemas.errors import ApprovalNeeded, OrdersyncError, Transient

_log = logging.getLogger(__name__)
_PAGES: Final = (
    sign_in,
    account,
    overview,
    orders,
    dead_letters,
    parked,
    mismatches,
    reviews,
    improvement,
    approvals,
    audit,
)
_FOREVER: Final = "public, max-age=31536000, immutable"
static_files = APIRouter()


def console_app(service: Service) -> ASGIApp:
    """The application with its guard in front; opens nothing."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.service, app.state.pages = service, Pages()
    for page in _PAGES:
        app.include_router(page.router)
    app.include_router(static_files)
    app.add_exception_handler(SignInNeeded, _to_sign_in)
    app.add_exception_handler(PasswordChangeNeeded, _to_password)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(ApprovalNeeded, _waits)
    app.add_exception_handler(OrdersyncError, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)
    settings = service.settings
    return Guard(app, GuardPolicy(settings.hosts, settings.is_secure, settings.body_limit_bytes))


@static_files.get("/static/{name}")
def static_file(request: Request, name: str) -> Response:
    """A file of ours by its name; there are no directories, so no path leads elsewhere."""
    found = pages_of(request).static.get(name)
    if found is None:
        raise Refusal(404, "There is no such file.")
    return Response(found[0], media_type=found[1], headers={"Cache-Control": _FOREVER})


@static_files.get("/favicon.ico")
def favicon(request: Request) -> Response:
    """What browsers ask for by themselves."""
    return static_file(request, "mark.svg")


def _error_page(request: Request, status: int, title: str, why: str) -> Response:
    page = "part_error.html" if request.headers.get("hx-request") else "error.html"
    return HTMLResponse(pages_of(request).render(page, status=status, title=title, why=why), status)


def _to_sign_in(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, SignInNeeded)
    there = address("/sign-in", back_to=exc.back_to if exc.back_to != "/" else None)
    return _sent_to(request, there)


def _to_password(request: Request, _: Exception) -> Response:
    return _sent_to(request, "/account")


def _sent_to(request: Request, there: str) -> Response:
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": there})
    return RedirectResponse(there, 303)


def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    titles = {403: "Not allowed", 404: "Not found", 409: "Not possible", 429: "Too many attempts"}
    return _error_page(request, exc.status, titles.get(exc.status, "Not understood"), exc.why)


def _waits(request: Request, exc: Exception) -> Response:
    """Nothing was done yet, and nothing is wrong: it is asked for."""
    page = "part_waits.html" if request.headers.get("hx-request") else "waits.html"
    return HTMLResponse(pages_of(request).render(page, why=str(exc)), 202)


def _failed(request: Request, exc: Exception) -> Response:
    """Our own errors are written for people; what is away will be back."""
    status = 503 if isinstance(exc, Transient) else 400 if getattr(exc, "exit_code", 1) == 2 else 500
    if status == 500:
        _log.error("%s %s: %s", request.method, request.url.path, exc)
    title = {503: "Away for the moment", 400: "Not possible"}.get(status, "Something is wrong")
    return _error_page(request, status, title, str(exc))


def _malformed(request: Request, _: Exception) -> Response:
    return _error_page(request, 400, "Not understood", "The address of this page is not complete.")


def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    told = {
        404: ("Not found", "There is no such page."),
        405: ("Not understood", "This page cannot be used so."),
        413: ("Too long", "The form is too long."),
    }
    title, why = told.get(exc.status_code, ("Not understood", "This request cannot be answered."))
    return _error_page(request, exc.status_code, title, why)


def _broken(request: Request, exc: Exception) -> Response:
    """A fault of ours: the log has all of it, the page a number to find it by."""
    fault = uuid4().hex[:12]
    _log.error("fault %s at %s %s", fault, request.method, request.url.path, exc_info=exc)
    why = f"This is a fault of the console. Its log tells more under {fault}."
    return _error_page(request, 500, "Something is wrong", why)
