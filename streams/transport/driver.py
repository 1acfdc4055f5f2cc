"""The transport as Faust sees it, and how an app's options reach it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import confluent_kafka
from faust.transport import base
from faust.types import AppT
from faust.types.transports import ConsumerCallback, ConsumerT
from yarl import URL

from schemas.errors import Fatal
from streams.transport.consumer import Consumer
from streams.transport.options import NoHooks, PartitionHooks, TransportOptions

_DEFAULT_PORT = 9092
_wiring: WeakKeyDictionary[AppT, tuple[TransportOptions, PartitionHooks]] = WeakKeyDictionary()


def configure(app: AppT, options: TransportOptions, hooks: PartitionHooks | None = None) -> None:
    """Give an app's transport its options; before the worker starts."""
    _wiring[app] = (options, hooks or NoHooks())


class Producer(base.Producer):
    """Faust's own sending is refused: it would not be part of the transaction."""

    async def send(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Raises `Fatal`."""
        _refuse()

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> Any:
        """Raises `Fatal`."""
        _refuse()

    def send_soon(self, fut: Any) -> None:
        """Raises `Fatal`."""
        _refuse()

    def supports_headers(self) -> bool:
        """Records have headers."""
        return True


class Transport(base.Transport):
    """Faust transport for URLs of the form `kafka+batch://host:port`."""

    Consumer = Consumer
    Producer = Producer
    default_port = _DEFAULT_PORT
    driver_version = f"confluent-kafka={confluent_kafka.__version__} librdkafka={confluent_kafka.libversion()[0]}"

    def create_consumer(self, callback: ConsumerCallback, **kwargs: Any) -> ConsumerT:
        """The app's consumer, with the options given to `configure` or ones taken from the broker's URL."""
        options, hooks = _wiring.get(self.app, (TransportOptions(), NoHooks()))
        if "bootstrap.servers" not in options.client_config:
            options = _with_servers(options, self.url)
        return super().create_consumer(callback, options=options, hooks=hooks, **kwargs)


def _with_servers(options: TransportOptions, urls: list[URL]) -> TransportOptions:
    servers = ",".join(f"{url.host}:{url.port or _DEFAULT_PORT}" for url in urls)
    return replace(options, client_config={**options.client_config, "bootstrap.servers": servers})


def _refuse() -> NoReturn:
    raise Fatal(
        "Faust's send() was called on the batch transport: write with `Output.produce` inside "
        "`async with output.ours(batch)`, so that outputs and offsets commit together."
    )
