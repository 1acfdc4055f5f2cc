"""Lets principals log in to a cluster with the passwords of their files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from deploy.security.files import SecurityFiles
from schemas.errors import Fatal

_SCRAM_ITERATIONS = 4096
_ANSWER_SECONDS = 30.0


def set_passwords(admin: AdminClient, files: SecurityFiles, principals: Sequence[str]) -> None:
    """Let each principal log in with the password of its file from now on; missing files are made.

    Raises:
        Fatal: the brokers refuse, or do not answer.
    """
    if not principals:
        return
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
    upsertions: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(name, credential, files.ensure_password(name).encode()) for name in principals
    ]
    futures: dict[str, Future[None]] = admin.alter_user_scram_credentials(upsertions, request_timeout=_ANSWER_SECONDS)
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as exc:
            raise Fatal(f"Kafka does not take the password of {name}: {exc}") from exc
