"""Client of a schema registry with the Confluent-compatible API, and its stand-in for work without a server."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

import httpx

from schemas.errors import Fatal, SchemaDrift, Transient, UndecodableMessage
from schemas.settings import RegistrySettings

_UNKNOWN_FOR_SECONDS = 10.0


class SchemaRegistry:
    """One registry; its answers are kept, because ids never change their schema.

    Workers only look up (`id_of`, `schema_of`); `ordersync topics apply` alone registers.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/"),
            timeout=settings.timeout_seconds,
            auth=settings.credentials(),
        )
        self._url = settings.url
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, dict[str, Any]] = {}
        self._unknown: dict[int, float] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """Register `schema` as the newest version of `subject`; the same schema again keeps its id.

        Raises:
            SchemaDrift: the registry refuses it as incompatible with the versions before.
            Transient: the registry is away.
        """
        answer = self._ask("POST", f"/subjects/{subject}/versions", _as_body(schema))
        if answer.status_code in (409, 422):
            raise SchemaDrift(
                f"{subject}: the registry refuses the schema: {answer.text[:500]}. Make the change compatible: add "
                "fields with a default, do not rename or retype"
            )
        return int(self._json(answer)["id"])

    def id_of(self, subject: str, schema: dict[str, Any]) -> int:
        """The id under which `schema` is registered as `subject`.

        Raises:
            SchemaDrift: it is not registered.
            Transient: the registry is away.
        """
        key = (subject, json.dumps(schema, sort_keys=True))
        if key not in self._ids:
            answer = self._ask("POST", f"/subjects/{subject}", _as_body(schema))
            if answer.status_code == 404:
                raise SchemaDrift(
                    f"{subject}: this version's schema is not in the registry at {self._url}; run "
                    "`ordersync topics apply` of the same version first"
                )
            self._ids[key] = int(self._json(answer)["id"])
        return self._ids[key]

    def schema_of(self, schema_id: int) -> dict[str, Any]:
        """The schema with that id.

        Raises:
            UndecodableMessage: the registry has no such schema (remembered for some seconds).
            Transient: the registry is away.
        """
        if schema_id in self._schemas:
            return self._schemas[schema_id]
        if self._unknown.get(schema_id, 0.0) < monotonic():
            answer = self._ask("GET", f"/schemas/ids/{schema_id}")
            if answer.status_code != 404:
                schema: dict[str, Any] = json.loads(self._json(answer)["schema"])
                self._schemas[schema_id] = schema
                return schema
            self._unknown[schema_id] = monotonic() + _UNKNOWN_FOR_SECONDS
        raise UndecodableMessage(
            f"schema id {schema_id} is unknown to the registry at {self._url}; the message was written with "
            "another registry, or its schema was deleted",
            rule="unknown_schema",
        )

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as exc:
            raise Transient(
                f"schema registry at {self._url} does not answer ({type(exc).__name__}); is it running?",
                retry_after_seconds=1.0,
            ) from exc
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Transient(
                f"schema registry at {self._url} answered {answer.status_code} to {method} {path}",
                retry_after_seconds=1.0,
            )
        return answer

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise Fatal(
                f"schema registry at {self._url} answered {answer.status_code} to {answer.request.method} "
                f"{answer.request.url.path}: {answer.text[:300]}"
            )
        value: dict[str, Any] = answer.json()
        return value


class InMemorySchemas:
    """Ids without a server: for tests of the codec and for commands that read files."""

    def __init__(self) -> None:
        self._schemas: list[dict[str, Any]] = []

    def id_of(self, subject: str, schema: dict[str, Any]) -> int:
        """The id of `schema`, given at its first use."""
        if schema not in self._schemas:
            self._schemas.append(schema)
        return self._schemas.index(schema) + 1

    def schema_of(self, schema_id: int) -> dict[str, Any]:
        """The schema with that id; `UndecodableMessage` if there is none."""
        if not 1 <= schema_id <= len(self._schemas):
            raise UndecodableMessage(f"schema id {schema_id} is unknown", rule="unknown_schema")
        return self._schemas[schema_id - 1]


def _as_body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"schema": json.dumps(schema), "schemaType": "AVRO"}
