"""Who asks: the session behind a request, the rights that a page wants, and the form that came with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from fastapi import Request
from starlette.responses import Response

from deploy.audit.desk import Clearance
from deploy.audit.policy import Person
from deploy.console.people.roles import Right
from deploy.console.people.sessions import Session
from deploy.console.people.users import User
from deploy.console.web.persons import T, without_persons
from deploy.console.web.service import Service
from schemas.audit_chain import Actor, Deed, Identity
from schemas.errors import ConfigurationError

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 1_200
_LONGEST_REASON: Final = 500
TOKEN: Final = "form_token"


class SignInNeeded(Exception):
    """Nobody is signed in; `back_to` is the page that was wanted."""

    def __init__(self, back_to: str) -> None:
        super().__init__(back_to)
        self.back_to = back_to


class PasswordChangeNeeded(Exception):
    """The person still has the password that somebody else made."""


class Refusal(Exception):
    """A request that gets a page with a status and a sentence instead of what it wanted."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in."""

    service: Service
    session: Session
    user: User
    address: str

    def may(self, right: Right) -> bool:
        """Whether the person's role has the right."""
        return self.user.may(right)

    def shown(self, told: T) -> T:
        """What the index knows, without what tells of a person where this one may not see that."""
        return told if self.may(Right.SEE_PERSONAL) else without_persons(told)

    @property
    def actor(self) -> Actor:
        """The person, who signed in."""
        return Actor(self.user.name, Identity.SIGN_IN)

    @property
    def person(self) -> Person:
        """The same with the role, for the approval policy."""
        return Person(actor=self.actor, role=self.user.role)

    @property
    def clearance(self) -> Clearance:
        """What deeds are given that a second person may have to approve."""
        return Clearance(self.service.approvals, self.person)

    def deed(self, action: str, subject: str, *, reference: str | None = None, reason: str | None = None) -> Deed:
        """What this person does."""
        actor = self.actor
        return Deed(actor.name, action, subject, reference, reason, identified_by=actor.identified_by)


def service_of(request: Request) -> Service:
    """The console's parts."""
    service: Service = request.app.state.service
    return service


def address_of(request: Request) -> str:
    """Where a request came from."""
    return request.client.host if request.client is not None else "unknown"


def cookie_name(service: Service) -> str:
    """With the prefix that no other host of the domain can set, where the connection allows it."""
    return "__Host-ordersync" if service.settings.is_secure else "ordersync"


def session_of(request: Request) -> Session | None:
    """The session of the request's cookie."""
    service = service_of(request)
    return service.sessions.read(request.cookies.get(cookie_name(service)))


def send_cookie(response: Response, service: Service, session: Session) -> None:
    """Give the browser its session: no script reads it, no other site sends it."""
    response.set_cookie(
        cookie_name(service),
        service.sessions.cookie(session),
        max_age=round(service.settings.session_hours * 3_600),
        path="/",
        secure=service.settings.is_secure,
        httponly=True,
        samesite="strict",
    )


def wanting(right: Right = Right.SEE, *, with_any_password: bool = False) -> Callable[[Request], Visit]:
    """The dependency of a page: somebody is signed in and has the right."""

    def visit(request: Request) -> Visit:
        service, session = service_of(request), session_of(request)
        if session is None or session.user is None:
            raise SignInNeeded(_wanted_page(request))
        if session.user.must_change and not with_any_password:
            raise PasswordChangeNeeded
        made = Visit(service, session, session.user, address_of(request))
        if not made.may(right):
            service.sightings.refused(made.deed("AccessRefused", request.url.path[:200], reason=right.value))
            raise Refusal(403, f"Your role, {session.user.role}, may not {right.value}.")
        request.state.session = session
        return made

    return visit


async def form_of(request: Request) -> Mapping[str, list[str]]:
    """The fields of a posted form, after its token was held against the session.

    Raises:
        Refusal: it is no form, or not one of this session.
    """
    service, session = service_of(request), session_of(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal(415, "Send a form.")
    fields: dict[str, list[str]] = {}
    try:
        text = (await request.body()).decode("ascii")
        unquote_to_bytes(text).decode()
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"):
            fields.setdefault(name, []).append(value)
    except (UnicodeDecodeError, ValueError) as exc:
        raise Refusal(400, "This form cannot be read.") from exc
    if session is None or not service.sessions.has_token(session, one(fields, TOKEN)):
        raise Refusal(403, "This form is of another session or too old: go back, reload the page and send it again.")
    if any("\0" in value for values in fields.values() for value in values):
        raise Refusal(400, "This form cannot be read.")
    return fields


def one(fields: Mapping[str, list[str]], name: str) -> str:
    """The last value of a field, empty where there is none."""
    return fields.get(name, [""])[-1]


def reason_in(fields: Mapping[str, list[str]]) -> str:
    """Why a deed is done, as the person wrote it. Raises `ConfigurationError` where nothing is said, or too much."""
    reason = " ".join(one(fields, "reason").split())
    if not 3 <= len(reason) <= _LONGEST_REASON or not reason.isprintable():
        raise ConfigurationError(f"say why, in 3 to {_LONGEST_REASON} characters: the audit keeps it")
    return reason


def local_page(path: str) -> str:
    """The path where it leads to a page of ours, else the first page: nobody is sent elsewhere by a link to us."""
    is_plain = all(33 <= ord(char) < 127 and char != "\\" for char in path)
    return path if is_plain and path.startswith("/") and not path.startswith("//") else "/"


def _wanted_page(request: Request) -> str:
    if request.method != "GET" or request.headers.get("hx-request"):
        return "/"
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path, safe="/:@") + query
