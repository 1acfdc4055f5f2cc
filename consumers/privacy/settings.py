"""Settings of the worker that publishes orders for other departments, and where its keys lie."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from consumers.settings import TransactionalSettings
from schemas.settings import SettingsPart


class PrivacyKeyFiles(SettingsPart):
    """The secrets by which people are sealed; `ordersync privacy key FILE` makes each."""

    encryption_key_file: Path = Field(
        description="Key-encryption keys, a line each, 32 bytes in base64: the first wraps, every one opens"
    )
    pseudonym_key_file: Path = Field(
        description="The one key by which a person becomes a pseudonym; never changed, for nobody is found again then"
    )


class PublisherSettings(TransactionalSettings):
    """How `orders.events` becomes `orders.published` in the same cluster."""

    group_id: str = Field("ordersync-publisher", description="Consumer group")
    privacy: PrivacyKeyFiles
