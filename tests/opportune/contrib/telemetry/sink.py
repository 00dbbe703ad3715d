"""HTTP server that records what telemetry sends."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sink(ThreadingHTTPServer):
    """HTTP server that records the bodies of all POST requests with their path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.address}"

    @property
    def text(self) -> bytes:
        return b"".join(body for _, body in self.bodies)


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        is_gzip = self.headers.get("content-encoding") == "gzip"
        self.server.bodies.append((self.path, gzip.decompress(body) if is_gzip else body))
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def open_sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
