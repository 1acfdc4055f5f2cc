"""`make bench-codec`: records a second on one core, native, compiled Python and fastavro in turns in one run.

Each round gives every codec a batch of different records; the best round counts, in seconds of the processor, so that
other work on the machine counts little. fastavro works raw (scaled integers and microseconds) and with logical types
(Decimal and datetime), and gives plain dicts; the codec gives canonical models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from time import process_time
from typing import Any

import fastavro

from schemas.attributes import CanonicalModel
from schemas.avro import avro_schema, raw_schema
from schemas.codec import engine_of, implementation
from schemas.codec.compiled import CompiledEngine
from schemas.models import HandledLine
from tests.benchmarks.report import Figure, Peer, publish
from tests.unit.order_samples import order_captured, order_state

RECORDS = 1000
ROUNDS = 15
SMALL_RECORD_GOAL = 400_000.0
"""Records a second for small records; issue on the streams."""
SECTIONS = ("order", "fulfilment", "settlement")


@dataclass(frozen=True, slots=True)
class Work:
    """One operation on a batch: `run` is called with each of `inputs`."""

    name: str
    run: Callable[[Any], Any]
    inputs: Sequence[Any]


def best_rates(works: list[Work]) -> dict[str, float]:
    """Records a second of each work, the best of `ROUNDS` rounds, in turns."""
    seconds = dict.fromkeys((work.name for work in works), float("inf"))
    for _ in range(ROUNDS):
        for work in works:
            run = work.run
            started = process_time()
            for item in work.inputs:
                run(item)
            seconds[work.name] = min(seconds[work.name], process_time() - started)
    return {work.name: len(work.inputs) / seconds[work.name] for work in works}


def works_of(values: list[CanonicalModel]) -> list[Work]:
    """Encode and decode `values` with our two engines and with fastavro."""
    model = type(values[0])
    fast, compiled = engine_of(model), CompiledEngine(model)
    messages = [b"12345" + compiled.encode(b"", value) for value in values]
    bodies = [message[5:] for message in messages]
    return [
        Work(f"encode {implementation}", lambda value: fast.encode(b"12345", value), values),
        Work("encode compiled Python", lambda value: compiled.encode(b"12345", value), values),
        *_fastavro("encode", model, bodies),
        Work(f"decode {implementation}", lambda message: fast.decode(message, 5), messages),
        Work("decode compiled Python", lambda message: compiled.decode(message, 5), messages),
        *_fastavro("decode", model, bodies),
    ]


def _fastavro(operation: str, model: type[CanonicalModel], bodies: list[bytes]) -> list[Work]:
    works = []
    for kind, schema in (("raw", raw_schema(avro_schema(model))), ("logical types", avro_schema(model))):
        read, write = _fastavro_functions(fastavro.parse_schema(schema))
        works.append(
            Work(f"{operation} fastavro {kind}", read, bodies)
            if operation == "decode"
            else Work(f"{operation} fastavro {kind}", write, [read(body) for body in bodies])
        )
    return works


def _fastavro_functions(parsed: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    def read(body: bytes) -> Any:
        return fastavro.schemaless_reader(BytesIO(body), parsed, None)

    def write(datum: Any) -> bytes:
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed, datum)
        return out.getvalue()

    return read, write


def figures_of(title: str, values: list[CanonicalModel], goal: float | None = None) -> list[Figure]:
    """Encode and decode of `values` against every peer."""
    rates = best_rates(works_of(values))
    return [
        Figure(f"{operation} {title}", rates[f"{operation} {implementation}"], "records/s", goal, Peer(peer, rate))
        for operation in ("encode", "decode")
        for peer, rate in (
            (name.removeprefix(f"{operation} "), rates[name]) for name in rates if name.startswith(operation)
        )
        if peer != implementation
    ]


def section_figures(values: list[CanonicalModel]) -> list[Figure]:
    """What the stream processor does: take a state apart, and put it together again from the bytes of its sections."""
    model = type(values[0])
    engine = engine_of(model, SECTIONS)
    messages = [engine.encode(b"12345", value) for value in values]
    parts = [engine.decode_sections(message, 5) for message in messages]
    rates = best_rates(
        [
            Work("decode", lambda message: engine.decode(message, 5), messages),
            Work("decode sections", lambda message: engine.decode_sections(message, 5), messages),
            Work("encode", lambda value: engine.encode(b"12345", value), values),
            Work("encode sections", lambda part: engine.encode_sections(b"12345", part[0], part[1]), parts),
        ]
    )
    return [
        Figure(
            f"{operation} sections of OrderState, 3 lines",
            rates[f"{operation} sections"],
            "records/s",
            peer=Peer(f"{implementation}, whole", rates[operation]),
        )
        for operation in ("decode", "encode")
    ]


def main() -> None:
    """Measure, print and write build/bench/codec.json."""
    numbers = range(1, RECORDS + 1)
    states: list[CanonicalModel] = [order_state(number) for number in numbers]
    small: list[CanonicalModel] = [
        HandledLine(line_id=f"{number % 20}", quantity=Decimal(number).scaleb(-2)) for number in numbers
    ]
    sources: list[CanonicalModel] = [order_captured(number).source for number in numbers]
    publish(
        "codec",
        [
            *figures_of("OrderCaptured, 3 lines", [order_captured(number) for number in numbers]),
            *figures_of("OrderState, 3 lines", states),
            *section_figures(states),
            *figures_of("SourcePosition (small)", sources, SMALL_RECORD_GOAL),
            *figures_of("HandledLine (small)", small, SMALL_RECORD_GOAL),
        ],
    )


if __name__ == "__main__":
    main()
