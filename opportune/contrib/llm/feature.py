from fastapi import FastAPI

from opportune.contrib.llm.call_guard import guard_of
from opportune.contrib.llm.checks import check_llm, check_model, require_providers
from opportune.contrib.llm.embeddings.jobs import connect_embeddings, embed_all, embed_rows, embed_when_started
from opportune.contrib.llm.language_model import MODEL_TOPIC, LanguageModel
from opportune.contrib.llm.providers.status import endpoint_lights
from opportune.contrib.llm.settings import MediaSettings
from opportune.contrib.tools.site_tools import retrieval_of, toolbox_of
from opportune.feature import Admin, Feature, Jobs, Monitoring, Process, Site
from opportune.services import Service, Services


def _open_model(services: Services) -> LanguageModel:
    guard = guard_of(services.features, services.settings, services.database)
    model = LanguageModel.of(services.settings, guard)
    connect_embeddings(services.database, model.embeddings)
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
    "Language models and embeddings.",
    settings=MediaSettings,
    process=Process(
        services=(
            Service("llm", LanguageModel, _open_model, close=LanguageModel.close, before_job=LanguageModel.refresh),
        ),
        lifespan=embed_when_started,
    ),
    jobs=Jobs((embed_rows, embed_all)),
    site=Site(init_app=_init_app),
    admin=Admin(setup_page=_setup_page),
    commands={"llm": "opportune.contrib.llm.commands"},
    quickstart="opportune.contrib.llm.quickstart",
    monitoring=Monitoring(
        checks=(check_llm,), production_checks=(check_model,), status={"Language models": endpoint_lights}
    ),
)
