"""Probes of a PostgreSQL server with connections of their own: its certificate, and its prepared statements."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from cryptography import x509
from psycopg import AsyncConnection, DatabaseError
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy.ext.asyncio import AsyncConnection as Checkout
from sqlalchemy.ext.asyncio import AsyncEngine

from opportune.db.drivers.psycopg_timeouts import SSL_REQUEST

Driver = AsyncConnection[Any]

BACKEND_PID = "SELECT pg_backend_pid()"
DEALLOCATE_STATEMENT = 'DEALLOCATE "_pg3_0"'  # name of psycopg's first prepared statement
RIVAL_TIMEOUT_SECONDS = 1
"""Time to wait for a second connection of the pooler, which may have only one."""


@dataclass(frozen=True)
class Trial:
    is_lost: bool
    """The server forgot the statement, or has another one with the same name."""
    is_swapped: bool
    """The second transaction used another server connection, so there is a pooler."""


async def try_prepared(engine: AsyncEngine) -> Trial:
    """Prepare a statement and use it again while another client occupies its server connection.

    A URL does not always reveal a pooler, which forgets prepared statements after a transaction.
    """
    async with engine.connect() as client_checkout, engine.connect() as rival_checkout:
        client, rival = await _driver(client_checkout), await _driver(rival_checkout)
        client.prepare_threshold = 0
        try:
            first_pid = await _backend_pid(client)
        except DuplicatePreparedStatement:
            return Trial(is_lost=True, is_swapped=True)
        await rival.execute(BACKEND_PID, prepare=False)
        return await _reuse_statement(client, rival, first_pid)


async def _reuse_statement(client: Driver, rival: Driver, first_pid: int) -> Trial:
    second_pid = asyncio.create_task(_backend_pid(client))
    await asyncio.wait({second_pid}, timeout=RIVAL_TIMEOUT_SECONDS)
    if second_pid.done() and second_pid.exception():
        with suppress(DatabaseError):  # the rival may have another server connection
            await rival.execute(DEALLOCATE_STATEMENT, prepare=False)
    await rival.rollback()
    try:
        is_swapped = await second_pid != first_pid
    except (DuplicatePreparedStatement, InvalidSqlStatementName):
        return Trial(is_lost=True, is_swapped=True)
    with suppress(DatabaseError):  # a pooler would give the connection with the statement to other clients
        await client.execute(DEALLOCATE_STATEMENT, prepare=False)
    return Trial(is_lost=False, is_swapped=is_swapped)


async def _backend_pid(client: Driver) -> int:
    """Return the process id of the server connection used by a transaction."""
    cursor = await client.execute(BACKEND_PID, prepare=True)
    row = await cursor.fetchone()
    await client.commit()  # after a rollback psycopg would forget its prepared statements
    return int(row[0]) if row else 0


async def _driver(checkout: Checkout) -> Driver:
    return cast("Driver", (await checkout.get_raw_connection()).driver_connection)


@dataclass(frozen=True)
class Handshake:
    """Result of a TLS handshake."""

    version: str
    """Protocol version, such as `TLSv1.3`."""
    subject: str
    expires: datetime
    distrust: str
    """Reason why this machine does not trust the certificate, or ""."""

    @property
    def days_left(self) -> int:
        return (self.expires - datetime.now(UTC)).days


async def shake_hands(host: str, port: int) -> Handshake:
    """Start TLS like a PostgreSQL client, then disconnect. libpq does not expose the certificate.

    Raises:
        OSError: The server does not respond or does not offer TLS.
        EOFError: The server closed the connection.
    """
    context = ssl.create_default_context()
    try:
        return await _start_tls(host, port, context, distrust="")
    except ssl.SSLCertVerificationError as error:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await _start_tls(host, port, context, distrust=error.verify_message)


async def _start_tls(host: str, port: int, context: ssl.SSLContext, distrust: str) -> Handshake:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(SSL_REQUEST)
        if await reader.readexactly(1) != b"S":
            raise ConnectionRefusedError("no TLS")
        await writer.start_tls(context, server_hostname=host)
        return _describe_certificate(writer.get_extra_info("ssl_object"), distrust)
    finally:
        writer.transport.abort()


def _describe_certificate(connection: ssl.SSLObject, distrust: str) -> Handshake:
    certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    subject = certificate.subject.rfc4514_string()
    return Handshake(connection.version() or "", subject, certificate.not_valid_after_utc, distrust)
