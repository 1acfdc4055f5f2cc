"""Fills in the pages' templates; everything that comes from orders is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

import deploy.console
from deploy.console.people.roles import Right
from deploy.console.web.visits import TOKEN, Visit, send_cookie

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def _static_files() -> dict[str, tuple[bytes, str]]:
    found = {}
    for path in (files(deploy.console) / "static").iterdir():
        ending = path.name.rpartition(".")[2]
        if ending in _TYPES:
            found[path.name] = (path.read_bytes(), _TYPES[ending])
    return found


class Pages:
    """The templates and static files of one console; read once."""

    def __init__(self) -> None:
        self.static = _static_files()
        self._environment = Environment(
            loader=PackageLoader("deploy.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        versions = {name: hashlib.sha256(body).hexdigest()[:12] for name, (body, _) in self.static.items()}
        self._environment.globals |= {
            "static": lambda name: f"/static/{name}?v={versions[name]}",
            "now": lambda: datetime.now(UTC),
            "address": address,
            "Right": Right,
            "TOKEN": TOKEN,
        }
        self._environment.filters |= {
            "instant": instant,
            "ago": ago,
            "money": money,
            "number": number,
            "words": words,
            "value": plain_value,
            "coded": coded,
        }

    def render(self, template: str, **values: Any) -> str:
        """One template."""
        return self._environment.get_template(template).render(**values)

    def page(self, request: Request, visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page or a part of one for somebody who is signed in; keeps the session going."""
        sessions = visit.service.sessions
        known = {
            "visit": visit,
            "token": sessions.token(visit.session),
            "path": request.url.path,
            "badges": badges(visit),
        }
        if template.startswith("part_") and not request.headers.get("hx-request"):
            # A browser without scripts gets the part in a page of its own.
            template, values = "part_page.html", values | {"part": template}
        response = HTMLResponse(self.render(template, **(known | values)), status)
        renewed = sessions.renewed(visit.session) if not request.headers.get("hx-request") else None
        if renewed is not None:
            send_cookie(response, visit.service, renewed)
        return response


def badges(visit: Visit) -> dict[str, int]:
    """The numbers beside the names of pages."""
    questions = visit.service.questions
    reviews = visit.service.reviews if visit.may(Right.SEE_PERSONAL) else None
    return {
        "/dead-letters": questions.open_letters(),
        "/parked": questions.parked_count(),
        "/mismatches": sum(count for _, count in questions.mismatches_by_system()),
    } | ({} if reviews is None else {"/reviews": reviews.waiting()})


def pages_of(request: Request) -> Pages:
    """The application's templates."""
    pages: Pages = request.app.state.pages
    return pages


def address(path: str, **query: object) -> str:
    """A path with its query, encoded."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def instant(value: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time in UTC, to the second."""
    return "–" if value is None else value.astimezone(UTC).strftime(form)


def ago(value: datetime | None) -> str:
    """How long ago, or how long until, in one unit."""
    if value is None:
        return "–"
    seconds = (datetime.now(UTC) - value).total_seconds()
    told = _span(abs(seconds))
    return f"{told} ago" if seconds >= 0 else f"in {told}"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def money(value: Decimal | str | None, currency: str | None = None) -> str:
    """An amount with its currency, at least two decimals, groups of three."""
    if value is None:
        return "–"
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return str(value)
    exponent = amount.normalize().as_tuple().exponent
    decimals = max(2, -exponent if isinstance(exponent, int) else 2)
    return f"{amount:,.{decimals}f}" + (f" {currency}" if currency else "")


def number(value: float) -> str:
    """A count with groups of three."""
    return f"{value:,.0f}"


def words(value: str) -> str:
    """A name of ours, such as partially_paid, in words."""
    return value.replace("_", " ")


def coded(text: str) -> Markup:
    """A sentence whose commands stand between backticks."""
    parts = text.split("`")
    told = (Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts))
    return Markup("").join(told)


def plain_value(value: Any) -> str:
    """A value of an order as a person reads it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return ", ".join(f"{words(str(name))} {plain_value(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, list):
        return "; ".join(plain_value(item) for item in value) or "–"
    return str(value)
