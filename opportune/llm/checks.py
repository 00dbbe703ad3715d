"""Checks of the model settings."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from opportune.config.settings import Settings
from opportune.db.url.providers import is_local
from opportune.feature import Finding
from opportune.llm.providers.factory import make_provider, missing_library


def check_llm(settings: Settings) -> Iterator[Finding]:
    if settings.llm_models:
        if settings.llm_model:
            yield Finding("LLM_MODEL is not used where LLM_MODELS is set: take one of them out.", is_error=False)
        return
    if not settings.llm_base_url:
        if line := missing_library(settings):
            yield Finding(line, is_error=False)
        return
    if not settings.llm_model:
        yield Finding("LLM_BASE_URL is set without LLM_MODEL: name the model to ask there.", is_error=False)
    if not settings.llm_api_key.get_secret_value() and not is_local(urlsplit(settings.llm_base_url).hostname or ""):
        yield Finding("LLM_BASE_URL is set without LLM_API_KEY, which most providers ask for.", is_error=False)


def check_model(settings: Settings) -> Iterator[Finding]:
    if make_provider(settings) is None:
        yield Finding(
            "There is no model in the settings: unless a superuser has chosen one in the admin (/admin/llm/provider), "
            "whoever asks something gets no answer. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.",
            is_error=False,
        )
