"""A self-signed certificate for this machine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ADDRESS = x509.IPAddress(ip_address("127.0.0.1"))
LOCALHOST = x509.DNSName("localhost")
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests of TLS")])


def make_certificate(
    folder: Path, days: int = 1, names: Sequence[x509.GeneralName] = (ADDRESS, LOCALHOST)
) -> tuple[Path, Path]:
    """Write `server.crt` and `server.key`; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=NAME, subject_name=NAME, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file
