"""A documents worker without servers: the real intake and register, on a log that is kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from producers.api.answering import AnswerIntake
from producers.api.intake import Intake
from producers.api.orders import Orders
from producers.api.store import Changes, OrderStore
from producers.documents.desk import ApiDesk, ApiVendorDesk
from producers.documents.likeness.suggestions import Suggestions
from producers.documents.limits import Limits
from producers.documents.originals import DocumentId, Originals
from producers.documents.processing import Delivered, Places, Processing
from producers.documents.reasons import RefusedDocument
from producers.documents.register import DocumentRecord, Outcome, Register
from producers.documents.source import Source
from tests.unit import document_samples as samples
from tests.unit.order_samples import order_state
from tests.unit.test_api_intake import CAPTURED, SCHEMAS, STATES, FollowedTopics, WrittenLog

T = TypeVar("T")


@dataclass
class KeptLetters:
    """Dead letters, in memory."""

    kept: list[tuple[str, RefusedDocument]] = field(default_factory=list)

    async def write(self, source: str, document_id: DocumentId, content: bytes, refusal: RefusedDocument) -> None:
        await asyncio.sleep(0)
        self.kept.append((source, refusal))


class DocumentDesk:
    """One source of documents, with what became of them."""

    def __init__(self, directory: Path, **changes: object) -> None:
        self.store = OrderStore(directory / "api", "cluster")
        orders, self.log = Orders(self.store, STATES), WrittenLog()
        self._orders = orders
        orders.feed = FollowedTopics(orders, self.store)  # type: ignore[assignment]
        self.register = Register(directory / "register.sqlite")
        self.originals = Originals(directory / "originals")
        self.letters = KeptLetters()
        intake = Intake(self.log, orders, CAPTURED)
        mapping = directory / "mapping.toml"
        mapping.write_text(samples.CSV_MAPPING)
        told: dict[str, object] = {"name": "post", "kind": "folder", "path": directory / "in", "system": "shop"}
        self.source = Source.model_validate(told | {"mapping": mapping} | changes)
        self.heard: list[tuple[str, str]] = []
        self.intake = intake
        self._processing = Processing(
            self.source,
            Places(
                self.originals,
                self.register,
                samples.masters(),
                Limits(),
                ApiDesk(intake, orders),
                self.letters,
                lambda source, outcome: self.heard.append((source, outcome)),
                ApiVendorDesk(AnswerIntake(self.log, orders, SCHEMAS)),
                Suggestions(directory),
            ),
        )

    def read_with(self, reading: Callable[[bytes], Any]) -> None:
        """Have documents read by something else."""
        self._processing._reader.read = reading  # type: ignore[method-assign]

    def close(self) -> None:
        self.register.close()
        self.store.close()

    def run(self, asked: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(asked)

    def take(self, content: bytes | str, name: str = "document") -> DocumentRecord:
        """Deal with a document as the worker does."""
        raw = content.encode() if isinstance(content, str) else content
        record = self.register.record(self.run(self._processing.take(Delivered(raw, name))))
        assert record is not None
        return record

    def outcome(self, content: bytes | str, name: str = "document") -> Outcome:
        """Of a document that holds one order."""
        [outcome] = self.take(content, name).parts
        return outcome

    def settle(self) -> None:
        """Take what people have accepted."""
        for review in self.register.reviews("accepted"):
            self.run(self._processing.settle(review))

    def apply(self) -> None:
        """Make states of the newest events of each order, as the stream workers do."""
        latest = {event.order_id: event for event in self.log.events}
        changes = Changes()
        for version, event in enumerate(latest.values(), 1):
            known = self.store.state(event.order_id)
            before = 0 if known is None else STATES.decode(known).version
            state = order_state(1).model_copy(
                update={
                    "order_id": event.order_id,
                    "version": before + version,
                    "order": event.order,
                    "order_status": "placed" if event.order is None else event.order.order_status,
                    "order_source": event.source,
                    "processed_at": datetime.now(UTC),
                }
            )
            changes.state(event.order_id, STATES.encode(state))
        self.store.write(changes)
