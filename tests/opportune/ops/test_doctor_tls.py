import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from opportune.config.project import installed_names
from opportune.db.url.database_url import DatabaseURL
from opportune.ops.doctor import diagnose as diagnose_module
from opportune.ops.doctor.context import DoctorContext
from opportune.ops.doctor.diagnose import diagnose
from opportune.ops.doctor.results import Finding, Status
from opportune.ops.doctor.server import CHECKS
from opportune.ops.doctor.tls import shake_hands
from opportune.testing.plugin import settings_for
from opportune.testing.services.certificate import LOCALHOST, make_certificate
from opportune.testing.services.postgres import Postgres

pytestmark = pytest.mark.database("postgresql")


@asynccontextmanager
async def speaking_tls(target: int, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """The port of something that speaks TLS as PostgreSQL does, and hands on what it is told."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    visits: set[asyncio.Task[None]] = set()

    def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.add(asyncio.create_task(visit(context, target, reader, writer)))

    front = await asyncio.start_server(enter, "127.0.0.1", 0)
    yield front.sockets[0].getsockname()[1]
    front.close()
    for guest in visits:
        guest.cancel()
    await asyncio.gather(*visits, return_exceptions=True)


async def visit(
    context: ssl.SSLContext, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    ends = [writer]
    try:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.start_tls(context)
        answers, questions = await asyncio.open_connection("127.0.0.1", target)
        ends.append(questions)
        await asyncio.gather(hand_on(reader, questions), hand_on(answers, writer))
    finally:
        for end in ends:
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()


async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()


async def examine(database_url: str, port: int, sslmode: str) -> Finding:
    url = DatabaseURL.parse(database_url).url.set(port=port, query={"sslmode": sslmode})
    settings = settings_for(url.render_as_string(hide_password=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnose_module, "CHECKS", {"tls": CHECKS["tls"]})
        (diagnosis,) = await diagnose(DoctorContext(settings, installed_names()))
    (found,) = (finding for finding in diagnosis.findings if finding.check == "tls")
    return found


async def test_tls_is_described(database_url: str, postgres_server: Postgres, tmp_path: Path) -> None:
    async with speaking_tls(postgres_server.port, make_certificate(tmp_path, days=90)) as port:
        found = await examine(database_url, port, "require")
    assert found.status == Status.OK
    assert found.text.startswith("TLSv1.3, certificate of CN=tests of TLS until ")
    assert "not verified (sslmode=require" in found.text
    assert (found.values["in_use"], found.values["trusted"]) == (True, False)


async def test_a_certificate_that_ends_soon_is_a_notice(
    database_url: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    async with speaking_tls(postgres_server.port, make_certificate(tmp_path, days=3)) as port:
        found = await examine(database_url, port, "require")
    assert found.status == Status.NOTICE
    assert found.fix.startswith("Renew the certificate")


async def test_no_tls_is_in_order_on_this_machine_and_a_notice_elsewhere(
    database_url: str, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await examine(database_url, postgres_server.port, "disable")
    assert (found.status, found.values["in_use"]) == (Status.OK, False)

    monkeypatch.setattr(DatabaseURL, "is_local", False)
    found = await examine(database_url, postgres_server.port, "disable")
    assert found.status == Status.NOTICE
    assert "sslmode=require" in found.fix


async def test_a_certificate_that_this_machine_vouches_for_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, names=[LOCALHOST])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with speaking_tls(1, certificate) as port:
        assert (await shake_hands("localhost", port)).distrust == ""
        assert "127.0.0.1" in (await shake_hands("127.0.0.1", port)).distrust


async def test_a_server_without_tls_shakes_no_hands(postgres_server: Postgres) -> None:
    with pytest.raises(OSError, match="no TLS"):
        await shake_hands("127.0.0.1", postgres_server.port)
