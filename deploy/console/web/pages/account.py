"""One's own account: who one is, and a new password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from deploy.console.people.passwords import matches
from deploy.console.people.roles import RIGHTS
from deploy.console.web.rendering import pages_of
from deploy.console.web.visits import Visit, form_of, one, send_cookie, wanting
from schemas.errors import ConfigurationError, OrdersyncError

router = APIRouter()
Anybody = Annotated[Visit, Depends(wanting(with_any_password=True))]
Form = Annotated[Mapping[str, list[str]], Depends(form_of)]


@router.get("/account")
def account(request: Request, visit: Anybody) -> Response:
    """Name, role, rights, and the form for a new password."""
    return _page(request, visit, "")


@router.post("/account")
def change_password(request: Request, visit: Anybody, form: Form) -> Response:
    """Replace the password; every other session of this person ends."""
    service, user = visit.service, visit.user
    before, new, again = one(form, "password"), one(form, "new_password"), one(form, "again")
    wait = service.throttle.wait_seconds(user.name, visit.address)
    if wait > 0:
        return _page(request, visit, f"Too many attempts. Try again in {wait + 1:.0f} seconds.", 429)
    if not matches(before, user.password):
        service.throttle.failed(user.name, visit.address)
        return _page(request, visit, "The present password is wrong.", 400)
    try:
        if new != again:
            raise ConfigurationError("the new password was not repeated in the same way")
        if new == before:
            raise ConfigurationError("the new password is the old one")
        service.users.set_password(user.name, new)
    except OrdersyncError as exc:
        told = str(exc)
        return _page(request, visit, told[:1].upper() + told[1:] + ".", 400)
    service.audit.note(visit.deed("PasswordChanged", user.name, reference=visit.address))
    service.sessions.end(visit.session)
    response = RedirectResponse("/", 303)
    send_cookie(response, service, service.sessions.new(service.users.of(user.name)))
    return response


def _page(request: Request, visit: Visit, problem: str, status: int = 200) -> Response:
    rights = sorted(RIGHTS[visit.user.role])
    return pages_of(request).page(request, visit, "account.html", status=status, problem=problem, rights=rights)
