"""A certificate authority of this machine, and the certificates that it issues for servers on loopback."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.security.files import SecurityFiles, write_private

_AUTHORITY = "ordersync local authority"
_AUTHORITY_DAYS = 3650
_CERTIFICATE_DAYS = 397
_RENEW_DAYS = 30
# Clocks of one machine step back by seconds, not by more.
_EARLIER = timedelta(minutes=5)
_HOSTS: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)
_CONSTRAINTS: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
)


class Authority:
    """Made at its first use; it can vouch for nothing but loopback, so its key is of no use elsewhere."""

    def __init__(self, files: SecurityFiles) -> None:
        self._files = files
        if not (files.authority_certificate.exists() and files.authority_key.exists()):
            self._found()
        self._certificate = x509.load_pem_x509_certificate(files.authority_certificate.read_bytes())
        key = serialization.load_pem_private_key(files.authority_key.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    def ensure(self, name: str) -> None:
        """Key, certificate and key store of `name` on loopback, unless those that are there are still good.

        Called at each start of a server; a certificate is renewed a month before it ends.
        """
        path = self._files.certificate(name)
        wanted = (path, self._files.key(name), self._files.key_store(name))
        if all(one.exists() for one in wanted) and self._is_good(x509.load_pem_x509_certificate(path.read_bytes())):
            return
        self.issue(name)

    def issue(self, name: str) -> None:
        """A new key and certificate for `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + timedelta(days=_CERTIFICATE_DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
            )
            .add_extension(x509.SubjectAlternativeName(_HOSTS), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        public, private = certificate.public_bytes(serialization.Encoding.PEM), _pem(key)
        write_private(self._files.key(name), private)
        write_private(self._files.key_store(name), private + public)
        write_private(self._files.certificate(name), public)

    def _is_good(self, certificate: x509.Certificate) -> bool:
        lasts = certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=_RENEW_DAYS)
        identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return lasts and identifier == ours

    def _found(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_named(_AUTHORITY))
            .issuer_name(_named(_AUTHORITY))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + timedelta(days=_AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.NameConstraints(list(_CONSTRAINTS), None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self._files.authority_key, _pem(key))
        write_private(self._files.authority_certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
