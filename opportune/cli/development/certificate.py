"""Self-signed certificate for `runserver --https`, stored between starts."""

import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from opportune.project.text_files import write_text

CERTIFICATE = PROJECT / "data/https.pem"
"""File with the key and the certificate. git ignores the folder."""
LIFETIME_DAYS = 397
"""Browsers refuse longer lifetimes."""
MIN_DAYS_LEFT = 7


def certificate_for(host: str, path: Path = CERTIFICATE) -> Path:
    """Return the file with a certificate for this host and machine. A missing or expiring one is replaced."""
    names = list(dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname(), host)))
    if not _is_valid(path, names):
        try:
            write_text(path, create_certificate(names, LIFETIME_DAYS), is_private=True)
        except OSError as error:
            raise OperatorError(
                f"{path} cannot be written ({error.strerror}). --https stores its certificate there."
            ) from error
    return path


def _is_valid(path: Path, names: list[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    existing = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    remaining = certificate.not_valid_after_utc - datetime.now(UTC)
    return remaining > timedelta(days=MIN_DAYS_LEFT) and {_general_name(name) for name in names} <= set(existing)


def create_certificate(names: Iterable[str], days: int) -> bytes:
    """Return a new key and its certificate for these hosts, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Opportune development certificate")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
