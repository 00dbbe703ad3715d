"""Language models in `oppman.py quickstart`: model servers on this machine, at their usual ports, and notes."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

import typer

from opportune.cli.project.env_file import add_to_env
from opportune.config.settings import Settings, clear_settings_cache, get_settings
from opportune.contrib.llm.providers.factory import make_provider, missing_library
from opportune.contrib.llm.providers.loose_json import json_in, object_in, objects_in
from opportune.errors.suggestions import did_you_mean
from opportune.project.layout import PROJECT

SERVERS = {"Ollama": 11434, "LM Studio": 1234, "llama.cpp": 8080}
TIMEOUT_SECONDS = 0.5
MAX_BYTES = 1_000_000


class NearbyServer(NamedTuple):
    label: str
    base_url: str
    models: list[str]


def configure(settings: Settings) -> Settings:
    """Offer the models of servers on this machine if the site has none. Return the settings with the selected model."""
    servers = find_nearby(settings)
    if not servers:
        return settings
    url_by_model = {model: server.base_url for server in reversed(servers) for model in server.models}
    typer.echo(f"\n{' and '.join(map(_describe_server, servers))}.")
    while model := typer.prompt("Use which model? (Enter for the starter's small one)", "", show_default=False).strip():
        if model in url_by_model:
            add_to_env(PROJECT / ".env", LLM_BASE_URL=url_by_model[model], LLM_MODEL=model)
            clear_settings_cache()
            return get_settings()
        typer.echo(f"There is no model {model}.{did_you_mean(model, url_by_model)}")
    return settings


def _describe_server(server: NearbyServer) -> str:
    return f"{server.label} runs here with {', '.join(server.models)}"


def notes(settings: Settings) -> Iterator[str]:
    """Yield lines about a missing model, and about model servers on this machine."""
    if make_provider(settings) is None:
        yield "No language model is configured. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL in .env to use one."
    elif line := missing_library(settings):
        yield line
    for server in find_nearby(settings):
        values = f"LLM_BASE_URL={server.base_url} and LLM_MODEL={server.models[0]}"
        yield f"{_describe_server(server)}. To use it, set {values} in .env."


def find_nearby(settings: Settings) -> list[NearbyServer]:
    """Return the servers of this machine that have a model; none if the site has an endpoint.

    Ollama is searched at OLLAMA_HOST if that is set.
    """
    if settings.llm_base_url or settings.llm_models:
        return []
    urls = {label: f"http://127.0.0.1:{port}" for label, port in SERVERS.items()}
    if host := os.environ.get("OLLAMA_HOST", ""):
        urls["Ollama"] = _ollama_url(host)
    with ThreadPoolExecutor(len(urls)) as pool:
        servers = zip(urls.items(), pool.map(_fetch_model_names, urls.values()), strict=True)
        return [NearbyServer(label, f"{url}/v1", names) for (label, url), names in servers if names]


def _ollama_url(host: str) -> str:
    """Convert OLLAMA_HOST to a URL. It may have no scheme or port, or the address 0.0.0.0."""
    with suppress(ValueError):
        parts = urlsplit(host if "://" in host else f"http://{host}")
        name = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::") else parts.hostname
        if parts.scheme == "http" and name:
            address = f"[{name}]" if ":" in name else name
            return f"http://{address}:{parts.port or SERVERS['Ollama']}"
    return f"http://127.0.0.1:{SERVERS['Ollama']}"


def _fetch_model_names(url: str) -> list[str]:
    """Return the names of a server's models; empty if the address is not that of a model server."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/v1/models")
        response = connection.getresponse()
        return [*_safe_names(json_in(response.read(MAX_BYTES)))] if response.status == 200 else []
    except (OSError, HTTPException):
        return []
    finally:
        connection.close()


def _safe_names(response: object) -> Iterator[str]:
    """Yield the model names that are safe in a settings file, because the server is not trusted."""
    for model in objects_in(object_in(response).get("data")):
        name = model.get("id")
        if isinstance(name, str) and name.isprintable() and "'" not in name and "\\" not in name:
            yield name
