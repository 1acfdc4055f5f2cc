"""The engines under test, and the models that they are tested on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from schemas import models, topics
from schemas.attributes import CanonicalModel
from schemas.codec.compiled import CompiledEngine
from schemas.codec.engine import Engine, implementation

ENGINES: dict[str, Callable[..., Any]] = {"python": CompiledEngine}
if implementation == "native":
    from schemas.codec.native.programs import native_engine

    ENGINES["native"] = native_engine
    ENGINES["native-public-decimals"] = partial(native_engine, knows_decimals=False)
MODELS = [pytest.param(topic.model, id=topic.name) for topic in topics.CATALOGUE.values()]
SECTIONED = [
    pytest.param(models.OrderCaptured, ("order",), id="OrderCaptured"),
    pytest.param(models.FulfilmentCaptured, ("fulfilment",), id="FulfilmentCaptured"),
    pytest.param(models.PaymentsCaptured, ("settlement",), id="PaymentsCaptured"),
    pytest.param(models.OrderState, ("order", "fulfilment", "settlement"), id="OrderState"),
    pytest.param(models.OrderEvent, ("state",), id="OrderEvent"),
]
FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@cache
def engine(name: str, model: type[CanonicalModel], sections: tuple[str, ...] = ()) -> Engine[Any]:
    """The named engine for `model`, made once."""
    made: Engine[Any] = ENGINES[name](model, sections)
    return made


def engines(model: type[CanonicalModel], sections: tuple[str, ...] = ()) -> list[Engine[Any]]:
    """Every engine for `model`."""
    return [engine(name, model, sections) for name in ENGINES]
