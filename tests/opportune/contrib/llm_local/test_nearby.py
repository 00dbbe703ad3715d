"""Detection of model servers on this machine."""

import asyncio
import json

import pytest

from opportune.contrib.llm_local import quickstart
from opportune.contrib.llm_local.quickstart import NearbyServer, find_nearby
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.llm.providers.endpoint import response, serve_endpoint

MODELS = json.dumps({"data": [{"id": "llama3.2:1b"}, {"id": "a'\nSECRET_KEY='x"}, {"no": "id"}, {"id": 7}]}).encode()

SITE = settings_for("sqlite:///nowhere.db")


@pytest.fixture(autouse=True)
def no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "SERVERS", {"Ollama": 9})
    monkeypatch.delenv("OLLAMA_HOST", raising=False)


async def test_server_is_found_with_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_endpoint(response("200 OK", MODELS)) as endpoint:
        monkeypatch.setattr(quickstart, "SERVERS", {"Ollama": endpoint.port})
        found = await asyncio.to_thread(find_nearby, SITE)
    assert found == [NearbyServer("Ollama", endpoint.address, ["llama3.2:1b"])]
    assert endpoint.requests[0].target == "/v1/models"


@pytest.mark.parametrize(
    "answer",
    [
        response("404 Not Found", MODELS),
        *(
            response("200 OK", body)
            for body in (b"<h1>Another site</h1>", b"[]", b"[" * 200_000, b'{"data": {}}', b'{"data": []}')
        ),
    ],
)
async def test_other_servers_are_ignored(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_endpoint(answer) as endpoint:
        monkeypatch.setattr(quickstart, "SERVERS", {"Ollama": endpoint.port})
        assert await asyncio.to_thread(find_nearby, SITE) == []


@pytest.mark.parametrize("host", ["", "http://[::1", ":", "https://away.example", "127.0.0.1:99999"])
def test_unreachable_server_is_ignored(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert find_nearby(SITE) == []
