"""How the embedded broker listens: plain on loopback, or with TLS 1.3, SCRAM and an authorizer."""

from __future__ import annotations

from typing import Any, Protocol

from confluent_kafka.admin import AdminClient

from deploy.local.ports import LOOPBACK, Ports
from deploy.security.authority import Authority
from deploy.security.files import SecurityFiles
from deploy.security.users import set_passwords
from schemas.grants import ADMINISTRATOR, PRINCIPALS

_BROKER = "broker"


class Listeners(Protocol):
    """What the broker's configuration says of its listeners, and how its launcher reaches it."""

    port: int

    def claim_ports(self, ports: Ports) -> None:
        """Take the kept ports, or new ones. Raises `Fatal`."""

    def prepare(self) -> None:
        """Make what the broker reads at its start. Raises `Fatal`."""

    def properties(self) -> dict[str, str]:
        """The part of `server.properties`."""

    def client_config(self) -> dict[str, Any]:
        """How the launcher connects, who may do everything."""

    def admit(self) -> None:
        """Called whenever the broker has come up, before anybody is told of it. Raises `Fatal`."""


class PlainListeners:
    """No encryption and no rights: for comparisons only."""

    def __init__(self) -> None:
        self.port = 0
        self._controller_port = 0

    def claim_ports(self, ports: Ports) -> None:
        """One port for clients, one for the controller."""
        self.port = ports.claim("kafka")
        self._controller_port = ports.claim("kafka-controller")

    def prepare(self) -> None:
        """Nothing is needed."""

    def properties(self) -> dict[str, str]:
        """Two listeners."""
        return {
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
        }

    def client_config(self) -> dict[str, Any]:
        """Anybody may."""
        return {"bootstrap.servers": f"{LOOPBACK}:{self.port}"}

    def admit(self) -> None:
        """Everybody is."""


class SecuredListeners:
    """Clients come with SASL_SSL and SCRAM-SHA-512; broker, controller and launcher with certificates of their own.

    So no password stands in the broker's configuration or on a command line: the launcher, who is known by its
    certificate, tells the broker the users' SCRAM credentials.
    """

    def __init__(self, files: SecurityFiles) -> None:
        self._files = files
        self.port = 0
        self._internal_port = 0
        self._controller_port = 0

    def claim_ports(self, ports: Ports) -> None:
        """One port for clients, one for the broker itself and its launcher, one for the controller."""
        self.port = ports.claim("kafka")
        self._internal_port = ports.claim("kafka-internal")
        self._controller_port = ports.claim("kafka-controller")

    def prepare(self) -> None:
        """Authority, certificates and passwords; those that are there and good stay."""
        authority = Authority(self._files)
        for name in (_BROKER, ADMINISTRATOR):
            authority.ensure(name)
        for principal in _users():
            self._files.ensure_password(principal)

    def properties(self) -> dict[str, str]:
        """Three listeners, and the authorizer behind each."""
        return {
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"CLIENT://{LOOPBACK}:{self.port},INTERNAL://{LOOPBACK}:{self._internal_port},"
            f"CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
            "inter.broker.listener.name": "INTERNAL",
            "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.client.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.client.ssl.client.auth": "none",
            "listener.name.internal.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._files.key_store(_BROKER)),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._files.authority_certificate),
            "ssl.protocol": "TLSv1.3",
            "ssl.enabled.protocols": "TLSv1.3",
            # AES-128 is what processors have instructions for, and as strong as the keys that protect it.
            "ssl.cipher.suites": "TLS_AES_128_GCM_SHA256",
            "ssl.principal.mapping.rules": r"RULE:^CN=([^,]+).*$/$1/",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:{_BROKER};User:{ADMINISTRATOR}",
        }

    def client_config(self) -> dict[str, Any]:
        """By the administrator's certificate."""
        return {
            "bootstrap.servers": f"{LOOPBACK}:{self._internal_port}",
            "security.protocol": "SSL",
            "ssl.ca.location": str(self._files.authority_certificate),
            "ssl.certificate.location": str(self._files.certificate(ADMINISTRATOR)),
            "ssl.key.location": str(self._files.key(ADMINISTRATOR)),
        }

    def admit(self) -> None:
        """Tell the broker every user whose password it does not know."""
        set_passwords(AdminClient(self.client_config()), self._files, _users())


def _users() -> tuple[str, ...]:
    return (ADMINISTRATOR, *PRINCIPALS)
