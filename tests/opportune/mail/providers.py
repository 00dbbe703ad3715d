"""Providers' APIs at the edge: what they were sent, and what they answer."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import Any

import httpx

PICTURE, FILE = b"\x89PNG a picture", b"%PDF a file"


@dataclass
class FakeAPI:
    """Answers each POST with the next of `answers`, or with the last one again."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    @property
    def json(self) -> Any:
        return json.loads(self.requests[-1].content)


@dataclass
class Endless(httpx.AsyncByteStream):
    """A body that does not end: of bytes, or of silence."""

    wait: Callable[[], Any] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            if self.wait:
                await self.wait()
            yield b"[" * 4096


def newsletter(*, picture: bool = True) -> EmailMessage:
    """An e-mail with all that one can have."""
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


def form_of(request: httpx.Request) -> dict[str, list[bytes]]:
    """The fields of multipart/form-data."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    found: dict[str, list[bytes]] = {}
    for part in parsed(head + request.content).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_content()
        found.setdefault(name, []).append(content.encode() if isinstance(content, str) else bytes(content))
    return found


def mime_in(request: httpx.Request) -> EmailMessage:
    """The e-mail that an API has got as it is."""
    if request.headers["Content-Type"].startswith("multipart"):
        return parsed(form_of(request)["message"][0])
    return parsed(b64decode(json.loads(request.content)["Content"]["Raw"]["Data"]))


def parsed(content: bytes) -> EmailMessage:
    found = message_from_bytes(content, _class=EmailMessage, policy=default)
    assert isinstance(found, EmailMessage)
    return found
