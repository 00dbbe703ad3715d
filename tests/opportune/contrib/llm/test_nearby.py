"""Detection of model servers on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from opportune.contrib.llm import nearby
from opportune.contrib.llm.nearby import NearbyServer, find_nearby

MODELS = json.dumps({"data": [{"id": "llama3.2:1b"}, {"id": "a'\nSECRET_KEY='x"}, {"no": "id"}, {"id": 7}]})


@contextmanager
def model_server(status: int, body: str) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/v1/models"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture(autouse=True)
def no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore model servers that run on this machine."""
    monkeypatch.setattr(nearby, "SERVERS", {"Ollama": 9})
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


def test_server_is_found_with_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server(200, MODELS) as port:
        monkeypatch.setattr(nearby, "SERVERS", {"Ollama": port})
        assert find_nearby() == [NearbyServer("Ollama", f"http://127.0.0.1:{port}/v1", ["llama3.2:1b"])]


@pytest.mark.parametrize("template", ["127.0.0.1:{}", "http://localhost:{}", "0.0.0.0:{}"])
def test_ollama_host_names_another_server(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server(200, MODELS) as port:
        monkeypatch.setenv("OLLAMA_HOST", template.format(port))
        assert [server.models for server in find_nearby()] == [["llama3.2:1b"]]


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, MODELS), (200, "<h1>Another site</h1>"), (200, "[]"), (200, '{"data": {}}'), (200, '{"data": []}')],
)
def test_other_servers_are_ignored(status: int, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server(status, body) as port:
        monkeypatch.setattr(nearby, "SERVERS", {"Ollama": port})
        assert find_nearby() == []


@pytest.mark.parametrize("host", ["", "http://[::1", ":", "https://away.example", "127.0.0.1:99999"])
def test_unreachable_server_is_ignored(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert find_nearby() == []
