"""Check of the encryption of a connection to PostgreSQL, and of the server's certificate."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from opportune.contrib.doctor.examination import Finding, ServerContext, notice, ok
from opportune.db.drivers.psycopg_timeouts import SSL_REQUEST

CERTIFICATE_WARNING_DAYS = 14


@dataclass(frozen=True)
class Handshake:
    """Result of a TLS handshake."""

    version: str
    """Protocol version, such as `TLSv1.3`."""
    subject: str
    expires: datetime
    distrust: str
    """Reason why this machine does not trust the certificate, or ""."""


async def check_tls(server: ServerContext) -> Finding:
    driver = await server.driver()
    mode = str(server.url.url.query.get("sslmode", "prefer"))
    if not driver.pgconn.ssl_in_use:
        return _describe_plain_connection(mode, is_local=server.url.is_local)
    try:
        handshake = await shake_hands(driver.info.host, driver.info.port)
    except (OSError, EOFError, ValueError):  # libpq's connection works, only this handshake does not
        return ok("tls", f"in use (sslmode={mode})", in_use=True, sslmode=mode)
    return _describe_handshake(mode, handshake)


def _describe_plain_connection(mode: str, *, is_local: bool) -> Finding:
    if is_local:
        return ok("tls", "not used, and not needed on this machine", in_use=False, sslmode=mode)
    fix = "Add sslmode=require to the URL, unless the network is private."
    return notice("tls", "not used: password and data are sent unencrypted", fix, in_use=False, sslmode=mode)


def _describe_handshake(mode: str, handshake: Handshake) -> Finding:
    name = handshake.subject or "no name"
    message = f"{handshake.version}, certificate of {name} until {handshake.expires:%Y-%m-%d}"
    values = {
        "in_use": True,
        "sslmode": mode,
        "version": handshake.version,
        "subject": handshake.subject,
        "expires": handshake.expires.isoformat(),
        "trusted": not handshake.distrust,
    }
    if (handshake.expires - datetime.now(UTC)).days < CERTIFICATE_WARNING_DAYS:
        return notice("tls", message, "Renew the certificate: clients that verify it will refuse it.", **values)
    if mode.startswith("verify"):
        return ok("tls", f"{message}, verified ({mode})", **values)
    if handshake.distrust:
        return ok("tls", f"{message}, not verified (sslmode={mode}; {handshake.distrust})", **values)
    fix = "This machine trusts the certificate, so you can use sslmode=verify-full&sslrootcert=system."
    return ok("tls", f"{message}, not verified (sslmode={mode}). {fix}", **values)


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
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    finally:
        writer.transport.abort()
    subject = certificate.subject.rfc4514_string()
    return Handshake(connection.version() or "", subject, certificate.not_valid_after_utc, distrust)
