"""Certificate of a PostgreSQL server, which libpq does not expose."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from opportune.db.drivers.psycopg_timeouts import SSL_REQUEST


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
    """Start TLS like a PostgreSQL client, then disconnect.

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
