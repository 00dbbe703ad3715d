"""Fake APIs of mail providers, and parsers of their requests."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import Any

import httpx2

PICTURE, FILE = b"\x89PNG a picture", b"%PDF a file"


@dataclass
class FakeApi:
    """Returns the next of `responses` for each POST. The last one is repeated."""

    responses: list[httpx2.Response | Exception]
    requests: list[httpx2.Request] = field(default_factory=list)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        if not response.is_stream_consumed:
            return response
        stream = httpx2.ByteStream(response.content)
        return httpx2.Response(response.status_code, headers=response.headers, stream=stream)

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self))

    @property
    def json(self) -> Any:
        return json.loads(self.requests[-1].content)


@dataclass
class EndlessBody(httpx2.AsyncByteStream):
    """Body without an end. With `wait`, the server stops sending instead."""

    wait: Callable[[], Any] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            if self.wait:
                await self.wait()
            yield b"[" * 4096


def newsletter(*, picture: bool = True) -> EmailMessage:
    """Return an e-mail with each kind of header field and part."""
    message = EmailMessage(policy=SMTP)
    message["From"] = '"Zoë & Söhne, Ltd" <site@example.org>'
    message["To"] = '"Lovelace, Ada" <ada@example.com>, Zoë <zoe@example.com>'
    message["Cc"] = "cc@example.com"
    message["Bcc"] = "bcc@example.com"
    message["Reply-To"] = "Help <help@example.org>"
    message["Subject"] = "Żółw"
    message["Message-ID"] = "<0123@example.org>"
    message["Date"] = "Fri, 20 Nov 2026 13:35:00 +0000"
    message["List-Unsubscribe"] = "<https://example.org/out>"
    message.set_content("Zoë\n.\nEnd\n", cte="quoted-printable")
    message.add_alternative('<p>Zoë <img src="cid:logo"></p>', subtype="html")
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    if picture:
        html.add_related(PICTURE, "image", "png", cid="<logo>", filename="logo.png")
    message.add_attachment(FILE, maintype="application", subtype="pdf", filename="Über.pdf")
    return message


def parse_form(request: httpx2.Request) -> dict[str, list[bytes]]:
    """Parse multipart/form-data."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    fields: dict[str, list[bytes]] = {}
    for part in parse_message(head + request.content).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_content()
        fields.setdefault(name, []).append(content.encode() if isinstance(content, str) else bytes(content))
    return fields


def parse_mime(request: httpx2.Request) -> EmailMessage:
    """Return the MIME message of a request."""
    if request.headers["Content-Type"].startswith("multipart"):
        return parse_message(parse_form(request)["message"][0])
    return parse_message(b64decode(json.loads(request.content)["Content"]["Raw"]["Data"]))


def parse_message(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, _class=EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    return message
