"""What clients of the API send: taken like any document, and told of until nothing can change any more."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Final

from producers.documents.originals import DocumentId
from producers.documents.processing import Delivered, Processing
from producers.documents.register import Register
from producers.documents.source import Source
from producers.upload_spool import PARTS, Upload, UploadedPart, UploadSpool, UploadStatus

TOLD_FOR: Final = timedelta(days=90)
_TIDY_SECONDS: Final = 300.0
_log = logging.getLogger(__name__)


class Uploads:
    """The uploads of one worker.

    Delivery: an upload is dealt with at least once, and each of its orders is written once, as `Processing` has it.
    What waits for a person is looked at again until it is decided, also after a restart.
    """

    def __init__(
        self, directory: Path, sources: Mapping[str, Source], register: Register, told_for: timedelta = TOLD_FOR
    ) -> None:
        """`told_for` is how long a client may ask. Raises ConfigurationError where the directory cannot be used."""
        self._spool = UploadSpool(directory)
        self._told_for = told_for
        self._turn, self._tidied_at = 0, float("-inf")
        self._register = register
        self._sources = {source.client: source for source in sources.values() if source.client is not None}

    async def take(self, processing: Mapping[str, Processing], stop: threading.Event) -> None:
        """Deal with what came, and tell what changed. Raises Transient where something is away."""
        for upload in await asyncio.to_thread(lambda: list(self._spool.waiting())):
            if stop.is_set():
                return
            source = self._sources.get(upload.client)
            if source is None:
                await asyncio.to_thread(self._spool.tell, upload, _unwanted(upload))
                _log.warning("upload %s: no source of kind upload names the client %s", upload.id, upload.client)
                continue
            content = await asyncio.to_thread(self._spool.content, upload)
            document_id = await processing[source.name].take(Delivered(content, upload.name))
            await asyncio.to_thread(self._register.uploaded, upload.id, document_id)
            await asyncio.to_thread(self._tell, upload, document_id)
            _log.info("%s: upload %s is decided (%s)", source.name, upload.id, document_id[:12])
        await asyncio.to_thread(self._tell_of_reviews)
        if monotonic() - self._tidied_at >= _TIDY_SECONDS:
            await asyncio.to_thread(self.tidy)
            self._tidied_at = monotonic()

    def tidy(self) -> int:
        """Forget a part of what nobody may ask for any more; all parts have had their turn within a day."""
        removed = self._spool.tidy(self._turn, datetime.now(UTC) - self._told_for)
        self._turn = (self._turn + 1) % PARTS
        return removed

    def _tell_of_reviews(self) -> None:
        for upload_id, document_id in self._register.open_uploads():
            upload = self._spool.upload(upload_id)
            if upload is None:
                # Somebody removed the note: nobody can ask for it any more.
                self._register.told_upload(upload_id)
            else:
                self._tell(upload, document_id)

    def _tell(self, upload: Upload, document_id: DocumentId) -> None:
        parts = [
            UploadedPart(name, one.part, one.kind, one.outcome, one.order_id, one.request_id, one.reasons or [])
            for name, one in self._register.parts_within(document_id)
        ]
        status = UploadStatus("done", parts)
        if self._spool.status(upload.id) != status:
            self._spool.tell(upload, status)
        if all(one.outcome != "review" for one in parts):
            self._register.told_upload(upload.id)


def _unwanted(upload: Upload) -> UploadStatus:
    told = f"document.source at client: no source of kind upload names {upload.client}; ask the operator for one"
    return UploadStatus("done", [UploadedPart(upload.name, 0, "document", "refused", reasons=[told])])
