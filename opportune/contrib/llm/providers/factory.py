"""Models in the settings: their providers, and lights of their endpoints for the status page."""

import asyncio
import socket
from importlib import import_module
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from fastapi import FastAPI

from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, VENDOR_URLS, LlmModel
from opportune.config.settings import Settings
from opportune.config.validated_settings import has_value
from opportune.contrib.llm.providers.fake import FakeProvider
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from opportune.contrib.llm.providers.provider import UNPROXIED, Provider, Timeouts
from opportune.errors import OperatorError
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.project.installed import installed_features
from opportune.project.optional_features import require_feature

CONNECT_TIMEOUT_SECONDS = 3


class KnownEndpoint(NamedTuple):
    """A provider with OpenAI's API that the admin offers: its URL and the spelling of a model name."""

    title: str
    base_url: str
    example: str


KNOWN_ENDPOINTS = {
    "openrouter": KnownEndpoint("OpenRouter", "https://openrouter.ai/api/v1", "openai/gpt-5-mini"),
    "openai": KnownEndpoint("OpenAI", "https://api.openai.com/v1", "gpt-5-mini"),
    "anthropic": KnownEndpoint("Anthropic", "https://api.anthropic.com/v1", "claude-haiku-4-5"),
    "gemini": KnownEndpoint(
        "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash"
    ),
    "groq": KnownEndpoint("Groq", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
    "mistral": KnownEndpoint("Mistral", "https://api.mistral.ai/v1", "mistral-small-latest"),
    "deepseek": KnownEndpoint("DeepSeek", "https://api.deepseek.com/v1", "deepseek-chat"),
    "ollama": KnownEndpoint("Ollama on this machine", "http://127.0.0.1:11434/v1", "llama3.2"),
}


def models_of(settings: Settings) -> list[LlmModel]:
    """Return the models of LLM_MODELS with URL and key; the first one is the default.

    Without LLM_MODELS, LLM_BASE_URL and LLM_MODEL describe one model. Without both, the list is empty.
    """
    if settings.llm_models:
        return [add_url_and_key(model, settings) for model in settings.llm_models]
    if not settings.llm_base_url and settings.llm_dialect == "openai":
        return []
    name = settings.llm_model or urlsplit(settings.llm_base_url).hostname or "the model"
    model = LlmModel(name=name[:MAX_MODEL_NAME_LENGTH], dialect=settings.llm_dialect, base_url=settings.llm_base_url)
    values = {"model": settings.llm_model, "api_key": settings.llm_api_key}
    return [add_url_and_key(model.model_copy(update=values), settings)]


M = TypeVar("M", bound=LlmModel)


def add_url_and_key(model: M, settings: Settings) -> M:
    """Return a model with the URL and key of the settings, unless it has its own."""
    values: dict[str, object] = {}
    if not model.base_url and model.dialect in VENDOR_URLS:
        values = {"base_url": VENDOR_URLS[model.dialect]}
    elif not (model.base_url or model.provider):
        # Send LLM_API_KEY only to LLM_BASE_URL, never to another endpoint.
        values = {"base_url": settings.llm_base_url, "api_key": settings.llm_api_key}
    if has_value(model.api_key):
        values["api_key"] = model.api_key
    if model.api_key_setting:
        values["api_key"] = getattr(settings, model.api_key_setting)
    return model.model_copy(update=values)


def make_provider(settings: Settings, model: LlmModel | None = None) -> Provider | None:
    """Create the provider of a model.

    Args:
        settings: Settings of the site.
        model: By default the first model in the settings; else the local one. Tests get a `FakeProvider`.

    Returns:
        The provider, or None if no model is configured or installed.

    Raises:
        OperatorError: The provider class in LLM_MODELS cannot be imported, or the feature for its dialect is missing.
    """
    model = model or next(iter(models_of(settings)), None)
    if model and model.provider:
        custom: Provider = make_custom(settings, model)
        return custom
    if model and model.dialect == "openai":
        return OpenAICompatible(model, Timeouts.of(settings))
    if model is None and settings.environment == "test":
        return FakeProvider("A scripted answer.")
    provider: Provider | None = make_declared(model.dialect if model else "local", settings, model)
    if model and provider is None:
        require_feature("llm_vendors", installed_features())
    return provider


def make_declared(name: str, settings: Settings, model: LlmModel | None = None) -> Any:
    """Make what an installed feature declares under a name in `Llm(providers=…)`; None if no feature does."""
    makers = (feature.llm.providers.get(name) for feature in installed_features())
    return next((make(settings, model) for make in makers if make), None)


def make_custom(settings: Settings, model: LlmModel, setting: str = "LLM_MODELS") -> Any:
    """Create an object of the class that `provider` names."""
    module, _, name = model.provider.partition(":")
    try:
        make = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise OperatorError(f"{setting}: cannot import {model.provider} for {model.name} ({error}).") from error
    return make(settings, model)


def missing_library(settings: Settings) -> str:
    """Return a line for operators if the first model needs a system library that is missing; else an empty string."""
    provider = make_provider(settings)
    return provider.missing_library() if provider else ""


async def endpoint_lights(app: FastAPI) -> list[HealthLight]:
    """Open and close a connection to each endpoint or its proxy. No model is called, because that could cost money."""
    await app.state.llm.refresh()
    models = models_of(app.state.settings) or app.state.llm.models  # or the one that a superuser has selected
    urls = dict.fromkeys(model.base_url for model in models if model.base_url)
    return await asyncio.gather(*map(_check_endpoint, urls))


def _first_hop(url: str) -> str:
    """Return the URL of an endpoint, or of the proxy that `HTTPS_PROXY` sets for it."""
    from urllib.request import getproxies, proxy_bypass  # the status page alone needs it

    parts = urlsplit(url)
    is_direct = url.startswith(UNPROXIED) or proxy_bypass(parts.hostname or "")
    proxies = {} if is_direct else getproxies()
    proxy = proxies.get(parts.scheme, proxies.get("all", url))
    return proxy if "://" in proxy else f"http://{proxy}"


async def _check_endpoint(url: str) -> HealthLight:
    parts = urlsplit(_first_hop(url))
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
    except (socket.gaierror, UnicodeError):  # or an empty or too long part of the name
        return HealthLight(host, _("has no address"), "fault", hint=_("Check the address of the model's endpoint."))
    except (OSError, TimeoutError):
        hint = _(
            "Check that it runs and that the host allows outgoing connections. Until then, fallback models answer."
        )
        return HealthLight(host, _("cannot be reached at port %(port)s", port=port), "fault", hint=hint)
    writer.close()
    return HealthLight(host, _("can be reached"))
