"""Examination of a PostgreSQL server's certificate."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from opportune.contrib.doctor.results import Finding, Status
from opportune.contrib.doctor.tls import shake_hands
from opportune.db.url.database_url import DatabaseUrl
from opportune.testing.plugin import settings_for
from opportune.testing.services.certificate import LOCALHOST, make_certificate
from opportune.testing.services.postgres import Postgres
from tests.opportune.contrib.doctor.findings import run_check

pytestmark = pytest.mark.database("postgresql")


@asynccontextmanager
async def tls_proxy(target: int, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """Port of a proxy that terminates TLS like PostgreSQL and forwards to the target port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(forward(context, target, reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


async def forward(
    context: ssl.SSLContext, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writers = [writer]
    try:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.start_tls(context)
        responses, requests = await asyncio.open_connection("127.0.0.1", target)
        writers.append(requests)
        await asyncio.gather(copy(reader, requests), copy(responses, writer))
    finally:
        for stream in writers:
            stream.transport.abort()
            with suppress(OSError):
                await stream.wait_closed()


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()


async def check_tls(database_url: str, port: int, sslmode: str) -> Finding:
    url = DatabaseUrl.parse(database_url).url.set(port=port, query={"sslmode": sslmode})
    return await run_check("tls", settings_for(url.render_as_string(hide_password=False)))


async def test_tls_is_described(database_url: str, postgres_server: Postgres, tmp_path: Path) -> None:
    async with tls_proxy(postgres_server.port, make_certificate(tmp_path, days=90)) as port:
        finding = await check_tls(database_url, port, "require")
    assert finding.status == Status.OK
    assert finding.text.startswith("TLSv1.3, certificate of CN=tests of TLS until ")
    assert "not verified (sslmode=require" in finding.text
    assert finding.values["in_use"]
    assert not finding.values["trusted"]


async def test_certificate_that_expires_soon_is_a_notice(
    database_url: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    async with tls_proxy(postgres_server.port, make_certificate(tmp_path, days=3)) as port:
        finding = await check_tls(database_url, port, "require")
    assert finding.status == Status.NOTICE
    assert finding.fix.startswith("Renew the certificate")


async def test_missing_tls_is_a_notice_unless_local(
    database_url: str, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = await check_tls(database_url, postgres_server.port, "disable")
    assert (finding.status, finding.values["in_use"]) == (Status.OK, False)

    monkeypatch.setattr(DatabaseUrl, "is_local", False)
    finding = await check_tls(database_url, postgres_server.port, "disable")
    assert finding.status == Status.NOTICE
    assert "sslmode=require" in finding.fix


async def test_certificate_of_known_authority_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path, names=[LOCALHOST])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with tls_proxy(1, certificate) as port:
        assert (await shake_hands("localhost", port)).distrust == ""
        assert "127.0.0.1" in (await shake_hands("127.0.0.1", port)).distrust


async def test_handshake_without_tls_fails(postgres_server: Postgres) -> None:
    with pytest.raises(OSError, match="no TLS"):
        await shake_hands("127.0.0.1", postgres_server.port)
