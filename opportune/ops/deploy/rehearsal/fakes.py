"""What lies beyond the site, at the edge of this machine: a language model, a mail provider's API, a bucket, and a
way out that leads nowhere else. Nothing that a rehearsal does reaches the network."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MAIL_HOST = "api.resend.com"
BUCKET = "rehearsal"
QUESTION = re.compile(r"Rehearsal: say (\d+) words\.")
LIST = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"


def model_answer(words: int) -> str:
    """What the model says when it is asked for so many words: each tells its place."""
    return " ".join(f"w{number}" for number in range(1, words + 1))


@dataclass
class Outside:
    """What the site finds beyond its own walls, and what it did there."""

    pace_seconds: float = 0.05
    """Between two words of the model."""
    silence_seconds: float = 0.0
    """For which the model says nothing in the middle of an answer."""
    mails: list[dict[str, Any]] = field(default_factory=list)
    """As the provider's API was given them."""
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """What is in the bucket, by its name, with the type of its content."""
    refused: list[str] = field(default_factory=list)
    """Where the site wanted to connect besides, as host:port."""
    asked: int = 0
    """How often the model was."""
    port: int = 0
    """Of the model and the bucket."""
    proxy_port: int = 0
    """Of the way out, for HTTPS_PROXY."""
    mail_port: int = 0

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/emails", self._take_mail, methods=["POST"]),
                Route(f"/{BUCKET}", self._list),
                Route(f"/{BUCKET}/{{name:path}}", self._file, methods=["GET", "HEAD", "PUT", "DELETE"]),
            ],
            exception_handlers={ClientDisconnect: _left},  # a site that stops does not wait for what it has asked
        )

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"data": [{"id": "rehearsal", "object": "model"}]})

    async def _complete(self, request: Request) -> Response:
        self.asked += 1
        asked = await request.json()
        words = text_for(asked["messages"])
        if not asked.get("stream"):
            message = {"role": "assistant", "content": words}
            return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        return StreamingResponse(self._say(words), media_type="text/event-stream")

    async def _say(self, text: str) -> AsyncGenerator[bytes, None]:
        pieces = re.findall(r"\S+\s*|\s+", text)
        for place, piece in enumerate(pieces):
            yield _event({"delta": {"content": piece}})
            await asyncio.sleep(self.pace_seconds)
            if self.silence_seconds and len(pieces) > 3 and place == len(pieces) // 2:
                await asyncio.sleep(self.silence_seconds)
        yield _event({"delta": {}, "finish_reason": "stop"})
        yield b"data: [DONE]\n\n"

    async def _take_mail(self, request: Request) -> Response:
        self.mails.append(await request.json())
        return JSONResponse({"id": f"rehearsal-{len(self.mails)}"})

    async def _list(self, _request: Request) -> Response:
        return Response(LIST, media_type="application/xml")

    async def _file(self, request: Request) -> Response:
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

    async def _lead_out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """An HTTP proxy's CONNECT: to the mail provider, and nowhere else."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, place, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            if method != "CONNECT" or place != f"{MAIL_HOST}:443":
                self.refused.append(place)
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                there, onward = await asyncio.open_connection("127.0.0.1", self.mail_port)
                await asyncio.gather(_copy(reader, onward), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"id": "rehearsal", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


async def _left(_request: Request, _fault: Exception) -> Response:
    return Response()  # to nobody


def text_for(messages: list[dict[str, Any]]) -> str:
    """What the model says: the words that it was asked for, or those that are missing of an answer that broke off."""
    prefix = ""
    if messages and messages[-1]["role"] == "assistant":
        prefix = _text_of(messages[-1])
    questions = [_text_of(message) for message in messages if message["role"] == "user"]
    found = QUESTION.search(questions[-1]) if questions else None
    text = model_answer(int(found[1])) if found else "A rehearsal"
    return text.removeprefix(prefix)


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@asynccontextmanager
async def outside(certificate: Path, key: Path) -> AsyncIterator[Outside]:
    """All of it on ports of this machine, until the block ends. The certificate is the mail provider's."""
    beyond = Outside()
    application = beyond.application()
    way_out = await asyncio.start_server(beyond._lead_out, "127.0.0.1", 0)
    beyond.proxy_port = way_out.sockets[0].getsockname()[1]
    try:
        async with serving(application) as beyond.port, serving(application, (certificate, key)) as beyond.mail_port:
            yield beyond
    finally:
        way_out.close()


@asynccontextmanager
async def serving(application: Starlette, tls: tuple[Path, Path] | None = None) -> AsyncIterator[int]:
    certificate, key = tls or (None, None)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            yield listener.getsockname()[1]
        finally:
            await server.shutdown()
