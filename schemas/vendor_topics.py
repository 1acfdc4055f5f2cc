"""The topic and the principal of one vendor: a vendor that reads Kafka itself reads what it is told, and nothing else.

Source: issue 10 (a topic for each vendor, with its own rights), S3, S8, I4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from schemas import models
from schemas.attributes import VendorId
from schemas.errors import ConfigurationError
from schemas.grants import PRINCIPALS, Grant, Principal
from schemas.topics import VENDOR_TOPICS, Partitioning, Retention, Topic

_PRINCIPAL: Final = "vendor-"
_PLAIN: Final = re.compile(rb"[A-Za-z0-9-]")
_CODED: Final = re.compile(r"(?:[A-Za-z0-9-]|_[0-9A-F]{2})+")
# Kafka's limit, with room for the prefix that installations of one cluster put before.
_LONGEST: Final = 200


def coded(vendor_id: str) -> str:
    """A vendor's code as it stands in names of Kafka: no two codes give the same.

    Kafka allows few characters, and takes `.` and `_` for the same in the names of its metrics. So letters, digits and
    `-` stay, and each other byte (UTF-8) becomes `_` and two hexadecimal digits: `A.1` is `A_2E1`.

    Raises:
        ConfigurationError: it is empty, or too long for the name of a topic.
    """
    plain = (bytes([one]) for one in vendor_id.encode())
    name = "".join(one.decode() if _PLAIN.match(one) else f"_{one[0]:02X}" for one in plain)
    if not 1 <= len(name) <= _LONGEST:
        raise ConfigurationError(
            f"the vendor {vendor_id[:40]!r} cannot have a topic: its code takes {len(name)} characters in the name of "
            f"a topic, and 1 to {_LONGEST} are possible"
        )
    return name


def vendor_topic(vendor_id: VendorId) -> Topic:
    """The topic of a vendor, kept for ever as `vendors.updates` is. Raises ConfigurationError as `coded`."""
    return Topic(
        VENDOR_TOPICS + coded(vendor_id),
        models.VendorUpdate,
        "vendor_id:order_id",
        f"What vendor {vendor_id} is told of its own lines; on the partition of the order",
        Retention.FOREVER,
        Partitioning.ORDER,
        ("vendors",),
    )


def vendor_principal(vendor_id: VendorId) -> Principal:
    """The user as whom a vendor reads its topic, with groups `vendor-CODE.…`, and does nothing else.

    Raises:
        ConfigurationError: as `coded`, or a worker has the name.
    """
    return _principal(coded(vendor_id))


def vendor_grants(granted: Iterable[Grant]) -> frozenset[Grant]:
    """Those of the rights that are a vendor's own, whoever the vendors are; any other right of a vendor is not."""
    held = frozenset(granted)
    names = {one.principal.removeprefix(_PRINCIPAL) for one in held if one.principal.startswith(_PRINCIPAL)}
    vendors = {name for name in names if _CODED.fullmatch(name) and _PRINCIPAL + name not in PRINCIPALS}
    return held & {grant for name in vendors for grant in _principal(name).grants()}


def _principal(code: str) -> Principal:
    name = _PRINCIPAL + code
    if name in PRINCIPALS:
        raise ConfigurationError(f"the vendor {code!r} cannot have a topic: {name} is the name of a worker")
    # The dot ends the code: without it a vendor S1 would have the groups of S10.
    return Principal(name, f"vendor {code}: its own updates", reads=(VENDOR_TOPICS + code,), groups=(f"{name}.",))
