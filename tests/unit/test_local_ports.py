"""Ports of a stack: kept between runs, replaced when somebody took them."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local.ports import LOOPBACK, Ports, is_free


def test_a_port_is_kept_from_one_run_to_the_next(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json").claim("kafka")
    assert Ports(tmp_path / "ports.json").claim("kafka") == first


def test_two_servers_get_two_ports(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    assert len({ports.claim(name) for name in ("kafka", "postgres", "registry")}) == 3


def test_a_port_that_somebody_took_is_replaced_for_good(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    first = ports.claim("kafka")
    with socket.socket() as somebody:
        somebody.bind((LOOPBACK, first))
        somebody.listen()
        assert not is_free(first)
        second = ports.claim("kafka")
    assert second != first
    assert ports.claim("kafka") == second


def test_an_unreadable_file_of_ports_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("not json")
    assert is_free(Ports(tmp_path / "ports.json").claim("kafka"))
