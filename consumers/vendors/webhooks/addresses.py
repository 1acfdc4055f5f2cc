"""Connections to public addresses only: a vendor's address must not lead into our own network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpcore

Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")


class ForbiddenAddress(httpcore.ConnectError):
    """A name that leads to an address which may not be reached."""


def is_allowed(text: str, networks: Iterable[Network]) -> bool:
    """Whether an IP address is public, or in one of the networks that the vendor's profile allows.

    An IPv4 address in IPv6's clothes (mapped, NAT64, 6to4) is judged as what it is.
    """
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            address = IPv4Address(int(address) & 0xFFFFFFFF)
        else:
            address = address.ipv4_mapped or address.sixtofour or address
    if any(address in network for network in networks):
        return True
    return address.is_global and not address.is_multicast


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name itself, refuses what is not public, and connects to the address that it looked at.

    The name is resolved once: a second answer of a hostile name server (DNS rebinding) has no effect. The certificate
    is still compared with the name.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            ForbiddenAddress: one of the name's addresses is not public.
            httpcore.ConnectError: the name has none, or none answers.
        """
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(f"{host} is not resolved in time") from exc
        except OSError as exc:
            raise httpcore.ConnectError(f"{host} has no address") from exc
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        for address in addresses:
            if not is_allowed(address, self._networks):
                raise ForbiddenAddress(f"{host} leads to {address}, which is not public; see private_networks")
        return await self._first_of(addresses, port, timeout, local_address, socket_options)

    async def _first_of(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        problem: httpcore.ConnectError | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as exc:
                problem = exc
        raise problem or httpcore.ConnectError("the name has no address")

    async def sleep(self, seconds: float) -> None:
        """As asyncio does."""
        await asyncio.sleep(seconds)
