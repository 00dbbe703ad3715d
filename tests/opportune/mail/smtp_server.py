"""A local mail server that can refuse e-mails."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "ada", "open sesame: 100%/@?"


@dataclass
class FakeMailServer:
    """Handler of the server, with its replies and received e-mails. `cut` closes the connection during an e-mail."""

    reply_to_recipient: str = "250 OK"
    refused_recipient: str = ""
    reply_to_message: str = "250 OK"
    cut: bool = False
    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    was_encrypted: bool = False

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        if address == self.refused_recipient:
            return "550 Unknown recipient"
        envelope.rcpt_tos.append(address)
        self.recipients.append(address)
        return self.reply_to_recipient

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:
        assert isinstance(server.transport, asyncio.Transport)
        if self.cut:
            server.transport.abort()
            return "250 OK"  # the connection is closed already
        if self.reply_to_message.startswith("250"):
            message = message_from_string(envelope.content.decode(), _class=EmailMessage, policy=default)
            self.received.append(message)
            self.was_encrypted = server.transport.get_extra_info("sslcontext") is not None
        return self.reply_to_message


def is_known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, credentials: Any) -> AuthResult:
    assert isinstance(credentials, LoginPassword)
    is_valid = (credentials.login, credentials.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_valid, handled=False)


@asynccontextmanager
async def smtp_server(
    *, certificate: Path | None = None, implicit: bool = False, has_users: bool = False
) -> AsyncIterator[FakeMailServer]:
    """Run the server in the block. With a certificate it offers STARTTLS, or TLS from the first byte."""
    mail_server = FakeMailServer()
    context = server_context(certificate)
    options: dict[str, Any] = {"tls_context": None if implicit else context, "enable_SMTPUTF8": True}
    if has_users:
        options |= {"authenticator": is_known, "auth_required": True, "auth_require_tls": False}
    loop = asyncio.get_running_loop()

    def create_protocol() -> asyncio.Protocol:
        with warnings.catch_warnings(action="ignore"):  # passwords without TLS are harmless here
            protocol: asyncio.Protocol = SMTP(mail_server, hostname="localhost", loop=loop, **options)
        return protocol

    server = await loop.create_server(create_protocol, "127.0.0.1", 0, ssl=context if implicit else None)
    mail_server.port = server.sockets[0].getsockname()[1]
    async with server:
        yield mail_server


def server_context(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
