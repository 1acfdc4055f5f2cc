"""The partition of a key, against what Kafka's own tests expect of its hash."""

from __future__ import annotations

import pytest

from deploy.partitioning import murmur2, partition_of

KAFKA_CASES = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
KAFKA_CASES |= {
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
}
KAFKA_CASES |= {b"abc": 479470107}


@pytest.mark.parametrize("key", KAFKA_CASES)
def test_hash_is_that_of_kafka(key: bytes) -> None:
    assert murmur2(key) == KAFKA_CASES[key] % (1 << 32)


def test_partition_ignores_the_sign_of_the_hash() -> None:
    assert partition_of(b"21", 7) == (-973932308 & 0x7FFFFFFF) % 7
