"""The self-signed certificate of `runserver --https`."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from opportune.cli.development import certificate
from opportune.cli.development.certificate import certificate_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/https.pem"


def test_certificate_is_for_machine_and_host(path: Path) -> None:
    loaded_certificate = x509.load_pem_x509_certificate(certificate_for("192.0.2.7", path).read_bytes())
    names = loaded_certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    addresses = {ip_address(address) for address in ("127.0.0.1", "::1", "192.0.2.7")}
    assert addresses <= set(names.get_values_for_type(x509.IPAddress))
    assert loaded_certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=398)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_certificate_is_replaced_for_host_expiry_or_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = certificate_for("127.0.0.1", path).read_bytes()
    assert certificate_for("::1", path).read_bytes() == first
    other = certificate_for("192.0.2.7", path).read_bytes()
    assert other != first
    with monkeypatch.context() as patch:
        patch.setattr(certificate, "MIN_DAYS_LEFT", certificate.LIFETIME_DAYS)
        assert certificate_for("192.0.2.7", path).read_bytes() != other
    path.write_text("nothing")
    assert b"BEGIN CERTIFICATE" in certificate_for("127.0.0.1", path).read_bytes()
