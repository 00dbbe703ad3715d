"""Checks of the settings of language models."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from opportune.config.settings import Settings
from opportune.contrib.llm.providers.factory import make_provider, media_models_of, missing_library, models_of
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.feature import Finding


def require_providers(settings: Settings) -> None:
    """Import the provider classes in LLM_MODELS, and check the models for pictures and audio.

    Raises:
        OperatorError: A class cannot be imported, or a model has no endpoint.
    """
    for model in models_of(settings):
        if model.provider:
            make_provider(settings, model)
    media_models_of(settings)


def check_llm(settings: Settings) -> Iterator[Finding]:
    try:
        require_providers(settings)
    except OperatorError as error:
        yield Finding(str(error))
    if settings.llm_models:
        if settings.llm_model:
            yield Finding("LLM_MODEL is ignored, because LLM_MODELS is set. Remove one of them.", is_error=False)
        return
    if not settings.llm_base_url:
        if line := missing_library(settings):
            yield Finding(line, is_error=False)
        return
    if not settings.llm_model:
        yield Finding("LLM_BASE_URL is set without LLM_MODEL. Set the name of the model.", is_error=False)
    if not settings.llm_api_key.get_secret_value() and not is_local(urlsplit(settings.llm_base_url).hostname or ""):
        yield Finding("LLM_BASE_URL is set without LLM_API_KEY, which most providers require.", is_error=False)


def check_model(settings: Settings) -> Iterator[Finding]:
    if make_provider(settings) is None:
        yield Finding(
            "There is no language model in the settings. Unless a superuser has selected one in the admin "
            "(/admin/llm/provider), questions fail. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.",
            is_error=False,
        )
