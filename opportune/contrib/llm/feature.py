"""Feature of language models: the service `llm`, its commands, checks and lights."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.contrib.llm.call_guard import guard_of
from opportune.contrib.llm.language_model import MODEL_TOPIC, LanguageModel
from opportune.contrib.llm.providers import factory
from opportune.contrib.tools.site_tools import retrieval_of, toolbox_of
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.feature import Admin, Feature, Finding, Monitoring, Process, Site
from opportune.project.installed import installed_names
from opportune.project.optional_features import how_to_list
from opportune.services import Service, Services


def require_providers(settings: Settings) -> None:
    """Make the providers of LLM_MODELS, which open no connections, and check the models for pictures and audio.

    Raises:
        OperatorError: A class or a dialect is missing, or a model has no endpoint.
    """
    for model in factory.models_of(settings):
        factory.make_provider(settings, model)
    factory.make_declared("media", settings)


def check_llm(settings: Settings) -> Iterator[Finding]:
    try:
        require_providers(settings)
    except OperatorError as error:
        yield Finding(str(error))
    if settings.embedding_model and "llm_embeddings" not in installed_names():
        yield Finding.warning(f"EMBEDDING_MODEL has no effect. {how_to_list('llm_embeddings')}")
    if settings.llm_models:
        if settings.llm_model:
            yield Finding.warning("LLM_MODEL is ignored, because LLM_MODELS is set. Remove one of them.")
        return
    if not settings.llm_base_url:
        if settings.llm_model and settings.llm_dialect == "openai":
            yield Finding.warning("LLM_MODEL has no effect without LLM_BASE_URL. Set the URL of its endpoint.")
        if line := factory.missing_library(settings):
            yield Finding.warning(line)
        return
    if not settings.llm_model:
        yield Finding.warning("LLM_BASE_URL is set without LLM_MODEL. Set the name of the model.")
    if not settings.llm_api_key.get_secret_value() and not is_local(urlsplit(settings.llm_base_url).hostname or ""):
        yield Finding.warning("LLM_BASE_URL is set without LLM_API_KEY, which most providers require.")


def check_model(settings: Settings) -> Iterator[Finding]:
    if factory.make_provider(settings) is None:
        yield Finding.warning(
            "There is no language model in the settings. Unless a superuser has selected one in the admin "
            "(/admin/llm/provider), questions fail. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL."
        )


def _open_model(services: Services) -> LanguageModel:
    model = LanguageModel.of(services.settings, guard_of(services.features, services.settings, services.database))
    services.database.bus.subscribe(MODEL_TOPIC, lambda _: model.expire_choice())
    return model


def _init_app(app: FastAPI) -> None:
    """Report mistakes in settings and, in development, in tools at the start. `check` also reports them."""
    require_providers(app.state.settings)
    is_used = any(feature.llm.tools or feature.llm.retrieval for feature in app.state.features)
    if is_used and app.state.settings.environment == "development":
        toolbox_of(app).require_valid_tools()
        retrieval_of(app).require_search_functions()


async def _setup_page(app: FastAPI) -> str:
    return "/admin/llm/provider" if await app.state.llm.waits_for_choice() else ""


llm = Feature(
    "llm",
    "Language models.",
    process=Process(
        services=(
            Service("llm", LanguageModel, _open_model, close=LanguageModel.close, before_job=LanguageModel.refresh),
        ),
    ),
    site=Site(init_app=_init_app),
    admin=Admin(setup_page=_setup_page),
    commands={"llm": "opportune.contrib.llm.commands"},
    monitoring=Monitoring(
        checks=(check_llm,), production_checks=(check_model,), status={"Language models": factory.endpoint_lights}
    ),
)
