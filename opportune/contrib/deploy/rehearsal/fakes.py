"""Local stand-ins for external services: language model, mail provider, bucket, and a proxy for all other traffic.

A rehearsal sends nothing to the network.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from opportune.contrib.deploy.rehearsal.network import forward
from opportune.testing.services.web_server import serving

MAIL_HOST = "api.resend.com"
BUCKET = "rehearsal"
QUESTION = re.compile(r"Rehearsal: say (\d+) words\.")
EMPTY_LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"


def model_answer(words: int) -> str:
    """Return the model's answer: numbered words."""
    return " ".join(f"w{number}" for number in range(1, words + 1))


@dataclass
class Services:
    """External services of the site, and a record of their use."""

    pace_seconds: float = 0.05
    """Time between two words of the model."""
    silence_seconds: float = 0.0
    """Pause of the model in the middle of an answer."""
    mails: list[dict[str, Any]] = field(default_factory=list)
    """Requests to the mail provider's API."""
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Content and media type of the files in the bucket."""
    port: int = 0
    """Port of the model and the bucket."""
    proxy_port: int = 0
    """Port of the proxy for HTTPS_PROXY."""
    mail_port: int = 0
    """Port of the mail provider, with its certificate."""

    def create_application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self._list_models),
                Route("/v1/chat/completions", self._complete_chat, methods=["POST"]),
                Route("/emails", self._receive_mail, methods=["POST"]),
                Route(f"/{BUCKET}", self._list_files),
                Route(f"/{BUCKET}/{{name:path}}", self._handle_file, methods=["GET", "HEAD", "PUT", "DELETE"]),
            ],
            exception_handlers={ClientDisconnect: _ignore},  # the site disconnects when it stops
        )

    async def _list_models(self, _request: Request) -> Response:
        return JSONResponse({"data": [{"id": "rehearsal", "object": "model"}]})

    async def _complete_chat(self, request: Request) -> Response:
        body = await request.json()
        text = answer_text(body["messages"])
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        return StreamingResponse(self._stream(text), media_type="text/event-stream")

    async def _stream(self, text: str) -> AsyncGenerator[bytes, None]:
        words = re.findall(r"\S+\s*|\s+", text)
        for number, word in enumerate(words):
            yield _event({"delta": {"content": word}})
            await asyncio.sleep(self.pace_seconds)
            if self.silence_seconds and len(words) > 3 and number == len(words) // 2:
                await asyncio.sleep(self.silence_seconds)
        yield _event({"delta": {}, "finish_reason": "stop"})
        yield b"data: [DONE]\n\n"

    async def _receive_mail(self, request: Request) -> Response:
        self.mails.append(await request.json())
        return JSONResponse({"id": f"rehearsal-{len(self.mails)}"})

    async def _list_files(self, _request: Request) -> Response:
        return Response(EMPTY_LISTING, media_type="application/xml")

    async def _handle_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "PUT":
            self.files[name] = (await request.body(), request.headers.get("content-type", ""))
            return Response(headers={"ETag": '"1"'})
        if request.method == "DELETE":
            self.files.pop(name, None)
            return Response(status_code=204)
        if name not in self.files:
            return Response(b"<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
        content, content_type = self.files[name]
        headers = {"ETag": '"1"', "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT", "Content-Type": content_type}
        return Response(content, headers=headers)

    async def handle_connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a CONNECT request to the HTTP proxy. Only the mail provider is allowed."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, address, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            if method != "CONNECT" or address != f"{MAIL_HOST}:443":
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                mail_reader, mail_writer = await asyncio.open_connection("127.0.0.1", self.mail_port)
                await asyncio.gather(forward(reader, mail_writer), forward(mail_reader, writer))
        writer.close()


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"id": "rehearsal", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def _ignore(_request: Request, _error: Exception) -> Response:
    return Response()


def answer_text(messages: list[dict[str, Any]]) -> str:
    """Return the model's answer, or the rest of a partial answer at the end of the messages."""
    prefix = ""
    if messages and messages[-1]["role"] == "assistant":
        prefix = _message_text(messages[-1])
    questions = [_message_text(message) for message in messages if message["role"] == "user"]
    match = QUESTION.search(questions[-1]) if questions else None
    text = model_answer(int(match[1])) if match else "A rehearsal"
    return text.removeprefix(prefix)


def _message_text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@asynccontextmanager
async def run_services(certificate: Path) -> AsyncIterator[Services]:
    """Run the services on local ports until the block ends. The certificate is for the mail provider."""
    services = Services()
    application = services.create_application()
    proxy = await asyncio.start_server(services.handle_connect, "127.0.0.1", 0)
    services.proxy_port = proxy.sockets[0].getsockname()[1]
    try:
        async with serving(application) as port, serving(application, certificate=certificate) as mail_port:
            services.port = port
            services.mail_port = mail_port
            yield services
    finally:
        proxy.close()
