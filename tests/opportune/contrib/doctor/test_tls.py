"""Examination of a PostgreSQL server's certificate. PgBouncer has one."""

import pytest

from opportune.contrib.doctor.results import Finding, Status
from opportune.contrib.doctor.tls import shake_hands
from opportune.db.url.database_url import DatabaseUrl
from opportune.testing.plugin import settings_for
from opportune.testing.services.pgbouncer import pgbouncer
from opportune.testing.services.postgres import Postgres
from tests.opportune.contrib.doctor.findings import run_check

pytestmark = pytest.mark.database("postgresql")


async def check_tls(database_url: str, sslmode: str) -> Finding:
    url = DatabaseUrl.parse(database_url).url.set(query={"sslmode": sslmode})
    return await run_check("tls", settings_for(url.render_as_string(hide_password=False)))


async def test_tls_is_described(database_url: str) -> None:
    with pgbouncer(database_url, certificate_days=90) as url:
        finding = await check_tls(url, "require")
    assert finding.status == Status.OK
    assert finding.text.startswith("TLSv1.3, certificate of CN=")
    assert "not verified (sslmode=require" in finding.text
    assert (finding.values["in_use"], finding.values["trusted"]) == (True, False)


async def test_certificate_that_expires_soon_is_a_notice(database_url: str) -> None:
    with pgbouncer(database_url, certificate_days=3) as url:
        finding = await check_tls(url, "require")
    assert finding.status == Status.NOTICE
    assert finding.fix.startswith("Renew the certificate")


async def test_missing_tls_is_a_notice_unless_local(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = await check_tls(database_url, "disable")
    assert (finding.status, finding.values["in_use"]) == (Status.OK, False)

    monkeypatch.setattr(DatabaseUrl, "is_local", False)
    finding = await check_tls(database_url, "disable")
    assert finding.status == Status.NOTICE
    assert "sslmode=require" in finding.fix


async def test_certificate_of_known_authority_is_trusted(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pgbouncer(database_url) as pooled_url:
        url = DatabaseUrl.parse(pooled_url).url
        assert url.port
        assert "self-signed" in (await shake_hands("localhost", url.port)).distrust
        monkeypatch.setenv("SSL_CERT_FILE", str(url.query["sslrootcert"]))
        assert (await shake_hands("localhost", url.port)).distrust == ""


async def test_handshake_without_tls_fails(postgres_server: Postgres) -> None:
    with pytest.raises(OSError, match="no TLS"):
        await shake_hands("127.0.0.1", postgres_server.port)
