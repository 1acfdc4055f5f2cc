"""Certificates and passwords of an installation: made once, private, renewed in time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from deploy.security.authority import Authority
from deploy.security.files import SecurityFiles
from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings, KafkaSettings


@pytest.fixture
def files(tmp_path: Path) -> SecurityFiles:
    return SecurityFiles(tmp_path / "security")


def serial(files: SecurityFiles, name: str) -> int:
    return x509.load_pem_x509_certificate(files.certificate(name).read_bytes()).serial_number


def test_everything_is_made_once_and_private(files: SecurityFiles) -> None:
    Authority(files).ensure("broker")
    first, password = serial(files, "broker"), files.ensure_password("erp")
    Authority(files).ensure("broker")
    assert serial(files, "broker") == first
    assert files.ensure_password("erp") == password != files.ensure_password("warehouse")
    for path in files.directory.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_new_authority_replaces_what_the_old_one_issued(files: SecurityFiles) -> None:
    Authority(files).ensure("broker")
    first = serial(files, "broker")
    files.authority_key.unlink()
    Authority(files).ensure("broker")
    assert serial(files, "broker") != first


def test_a_certificate_is_renewed_before_it_ends(files: SecurityFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.security.authority._CERTIFICATE_DAYS", 29)
    Authority(files).ensure("broker")
    first = serial(files, "broker")
    monkeypatch.undo()
    Authority(files).ensure("broker")
    assert serial(files, "broker") != first


def test_a_password_that_others_may_read_is_refused(files: SecurityFiles) -> None:
    files.ensure_password("erp")
    files.password_file("erp").chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        files.ensure_password("erp")


def test_settings_read_a_secret_when_they_need_it(files: SecurityFiles) -> None:
    path = files.password_file("erp")
    kafka = KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", username="erp").model_copy(
        update={"password_file": path}
    )
    database = DatabaseSettings(dbname="erp", password_file=path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        kafka.client_config()
    password = files.new_password("erp")
    assert kafka.client_config()["sasl.password"] == password
    assert password in database.conninfo()
    assert password not in repr(kafka) + repr(database)
    assert files.new_password("erp") in database.conninfo()
