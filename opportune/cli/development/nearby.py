"""Model servers that run on this machine already, by the ports that they usually have."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

SERVERS = {"Ollama": 11434, "LM Studio": 1234, "llama.cpp": 8080}
TIMEOUT_SECONDS = 0.5
MAX_BYTES = 1_000_000


class NearbyServer(NamedTuple):
    label: str
    base_url: str
    models: list[str]


def find_nearby() -> list[NearbyServer]:
    """Servers that respond now and have a model. OLLAMA_HOST names one elsewhere."""
    places = [(label, f"http://127.0.0.1:{port}") for label, port in SERVERS.items()]
    if host := os.environ.get("OLLAMA_HOST", ""):
        places[0] = ("Ollama", _address_of(host))
    with ThreadPoolExecutor(len(places)) as pool:
        return [
            NearbyServer(label, f"{address}/v1", models)
            for (label, address), models in zip(
                places, pool.map(lambda place: _models_at(place[1]), places), strict=True
            )
            if models
        ]


def _address_of(host: str) -> str:
    """OLLAMA_HOST as an address to ask: it may lack scheme and port, or tell to listen on all of them."""
    with suppress(ValueError):
        parts = urlsplit(host if "://" in host else f"http://{host}")
        name = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(parts.hostname or "", parts.hostname)
        if parts.scheme == "http" and name:
            return f"http://{f'[{name}]' if ':' in name else name}:{parts.port or SERVERS['Ollama']}"
    return f"http://127.0.0.1:{SERVERS['Ollama']}"


def _models_at(address: str) -> list[str]:
    """The models that a server tells; none where nothing listens, or something else does."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/v1/models")
        response = connection.getresponse()
        return [*_names_in(json.loads(response.read(MAX_BYTES)))] if response.status == 200 else []
    except (OSError, HTTPException, ValueError):
        return []
    finally:
        connection.close()


def _names_in(answer: object) -> Iterator[str]:
    """Model names that a setting can hold, without anything a stranger on that port might add to a settings file."""
    match answer:
        case {"data": list(models)}:
            for model in models:
                match model:
                    case {"id": str(name)} if name.isprintable() and "'" not in name and "\\" not in name:
                        yield name
