"""Language models in `oppman.py quickstart`: the offer of model servers on this machine, and notes."""

from collections.abc import Iterator

import typer

from opportune.cli.project.env_file import add_to_env
from opportune.config.settings import Settings, clear_settings_cache, get_settings
from opportune.contrib.llm.nearby import NearbyServer, find_nearby
from opportune.contrib.llm.providers.factory import make_provider, missing_library
from opportune.errors.suggestions import did_you_mean
from opportune.project.layout import PROJECT


def configure(settings: Settings) -> Settings:
    """Offer the models of servers on this machine if the site has none. Return the settings with the selected model."""
    servers = find_servers(settings)
    if not servers:
        return settings
    urls = {model: server.base_url for server in reversed(servers) for model in server.models}
    typer.echo(f"\n{' and '.join(map(_describe_server, servers))}.")
    while model := typer.prompt("Use which model? (Enter for the starter's small one)", "", show_default=False).strip():
        if model in urls:
            add_to_env(PROJECT / ".env", LLM_BASE_URL=urls[model], LLM_MODEL=model)
            clear_settings_cache()
            return get_settings()
        typer.echo(f"There is no model {model}.{did_you_mean(model, urls)}")
    return settings


def find_servers(settings: Settings) -> list[NearbyServer]:
    """Return the model servers of this machine, for a site that has no endpoint yet."""
    return [] if settings.llm_base_url or settings.llm_models else find_nearby()


def _describe_server(server: NearbyServer) -> str:
    return f"{server.label} runs here with {', '.join(server.models)}"


def notes(settings: Settings) -> Iterator[str]:
    """Yield lines about a missing model, and about model servers on this machine."""
    if make_provider(settings) is None:
        yield "No language model is configured. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL in .env to use one."
    elif line := missing_library(settings):
        yield line
    for server in find_servers(settings):
        values = f"LLM_BASE_URL={server.base_url} and LLM_MODEL={server.models[0]}"
        yield f"{_describe_server(server)}. To use it, set {values} in .env."
