"""The file that says how each vendor is told: its webhook, its files, and what it may see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.attributes import VendorId
from schemas.errors import ConfigurationError
from schemas.settings import SettingsPart
from schemas.toml_file import read_toml
from schemas.vendor_topics import vendor_principal

WEBHOOK = "webhook"
FILES = "files"

UpdateType = Literal["confirmation", "change", "shipment", "cancellation"]
_EVERY: tuple[UpdateType, ...] = ("confirmation", "change", "shipment", "cancellation")


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("write it as https://host/path")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("leave out user, password and fragment; requests are signed instead")
    if parts.port == 0:
        raise ValueError("0 is no port")
    return text


def _network(value: Any) -> IPv4Network | IPv6Network:
    # ipaddress says what is wrong; pydantic's own check of the two kinds does not.
    return ip_network(str(value))


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class Sending(SettingsPart):
    """How signed requests are sent (Standard Webhooks)."""

    allow_http: bool = Field(False, description="Send unencrypted, in a network that is yours alone")
    private_networks: tuple[Network, ...] = Field(
        (), description="Networks that may be reached though they are not public"
    )
    timeout_seconds: float = Field(10.0, gt=0, le=60, description="Longest wait for the whole answer")
    connections: int = Field(4, ge=1, le=64, description="Most requests at the same time, each of another order")
    retry_first_seconds: float = Field(5.0, gt=0, description="Pause before the second attempt; doubles after each")
    retry_limit_seconds: float = Field(3600.0, gt=0, description="Longest pause between two attempts")
    give_up_seconds: float = Field(72 * 3600.0, gt=0, description="So long after its first attempt it is given up")


class Endpoint(Sending):
    """Where signed requests go."""

    url: Annotated[str, AfterValidator(_web_address)] = Field(description="Address; https unless allow_http")

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if urlsplit(self.url).scheme == "http" and not self.allow_http:
            raise ValueError(
                "url: http is not encrypted; use https, or set allow_http in a network that is yours alone"
            )
        return self


class Webhook(Endpoint):
    """A vendor's address, and where its secrets lie."""

    secret_file: Path = Field(description="Secrets whsec_..., one a line: the first signs, and so do the others")


class Files(SettingsPart):
    """Which files of a trade standard are written, how often, and under which names of sender and receiver."""

    format: Literal["ubl", "edifact", "x12"] = Field(description="ubl (2.1), edifact or x12 (004010)")
    directory: Path = Field(description="Where finished files appear; partial ones never do")
    sender: str = Field(min_length=1, max_length=35, description="Your identification in the interchange")
    sender_qualifier: str | None = Field(None, pattern="^[0-9A-Z]{1,4}$", description="Kind of it: 14 for a GLN ...")
    receiver: str = Field(min_length=1, max_length=35, description="The vendor's identification in the interchange")
    receiver_qualifier: str | None = Field(None, pattern="^[0-9A-Z]{1,4}$", description="Kind of it")
    edifact_directory: Literal["D.96A", "D.01B"] = Field("D.96A", description="Directory of the EDIFACT messages")
    test: bool = Field(False, description="Mark interchanges as tests")
    at: tuple[time, ...] = Field((), description="Times of day (UTC) at which files are written; none: at once")
    items: Mapping[str, str] = Field({}, description="Your product number = the vendor's; others go as they are")
    units: Mapping[str, str] = Field({}, description="UN/ECE Rec 20 unit = the code that the vendor expects")


class VendorProfile(SettingsPart):
    """How one vendor is told."""

    name: str | None = Field(None, description="Its name, for people and for the documents")
    updates: tuple[UpdateType, ...] = Field(_EVERY, min_length=1, description="What it is told of")
    shares_delivery: bool = Field(False, description="It ships to the customer: it sees name and address")
    acknowledge_within_minutes: float | None = Field(
        None, gt=0, description="An update that it has not acknowledged after so long raises an alarm"
    )
    topic: bool = Field(False, description="It reads a Kafka topic of its own, which `ordersync topics apply` makes")
    webhook: Webhook | None = Field(None, description="Signed requests")
    files: Files | None = Field(None, description="Files of a trade standard")

    @property
    def channels(self) -> tuple[str, ...]:
        """Every queue by which it is told."""
        ways = {WEBHOOK: self.webhook, FILES: self.files}
        return tuple(name for name, way in ways.items() if way is not None)


class VendorProfiles(SettingsPart):
    """The whole file."""

    vendors: Mapping[str, VendorProfile] = Field(description="By vendor_id, as in master.vendors")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file; called by the workers at their start, and by `ordersync vendors check`.

        Raises:
            ConfigurationError: it cannot be read, or says what cannot work; the message names every place.
        """
        return read_toml(cls, path, "the vendors' file")

    def with_topics(self) -> tuple[VendorId, ...]:
        """Those that read a topic of their own. Raises ConfigurationError where one's code cannot be in its name."""
        found = tuple(VendorId(name) for name, profile in self.vendors.items() if profile.topic)
        for vendor_id in found:
            vendor_principal(vendor_id)
        return found

    def of(self, vendor_id: str) -> VendorProfile:
        """The profile of one vendor.

        Raises:
            ConfigurationError: it has none.
        """
        try:
            return self.vendors[vendor_id]
        except KeyError as exc:
            known = ", ".join(self.vendors) or "none"
            raise ConfigurationError(f"the vendors' file has no vendor {vendor_id!r}; it has {known}") from exc
