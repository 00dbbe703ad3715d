"""Replacement of `xllamacpp` for tests of the model's process: starts immediately and gives a fixed answer."""

import json
import socket
from contextlib import suppress
from threading import Thread
from types import SimpleNamespace
from typing import Any

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
ENDLESS = b"story"
"""A question whose answer never ends."""

ggml_type = SimpleNamespace(GGML_TYPE_Q8_0=8)


class CommonParams(SimpleNamespace):
    """Accepts any parameters."""

    def __init__(self) -> None:
        super().__init__(model=SimpleNamespace(), cpuparams=SimpleNamespace(), sampling=SimpleNamespace())


class Server:
    """A server that requires the key."""

    def __init__(self, params: Any) -> None:
        self._key: bytes = params.api_keys[0].encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.listening_address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream, suppress(OSError):
            head = b"".join(iter(stream.readline, b"\r\n")).lower()
            length = head.partition(b"content-length:")[2].split()
            body = stream.read(int(length[0]) if length else 0)
            if b"bearer " + self._key.lower() not in head:
                stream.write(REFUSED)
                return
            stream.write(EVENTS)
            stream.write(_event({"content": "Paris"}))
            while ENDLESS in body:
                stream.write(_event({"content": " and on"}))
                stream.flush()
            stream.write(_event({}, finish_reason="stop"))
            stream.write(b"data: [DONE]\n\n")


def _event(delta: dict[str, str], **more: str) -> bytes:
    return b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta, **more}]}).encode()
