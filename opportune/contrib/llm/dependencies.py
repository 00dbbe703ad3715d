"""Access to the language model of the site: in routes (`Llm`), and in commands and scripts (`open_llm`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request

from opportune.config.settings import Settings
from opportune.contrib.llm.call_guard import guard_of
from opportune.contrib.llm.language_model import LanguageModel
from opportune.db.factory import open_database
from opportune.db.sessions.dependencies import on_site
from opportune.project.installed import installed_features
from opportune.project.optional_features import require_feature


@asynccontextmanager
async def open_llm(settings: Settings) -> AsyncIterator[LanguageModel]:
    """Open the language model in a command or script. Routes have `Llm`, jobs `run.service(LanguageModel)`.

    Example:
        async with open_llm(load_settings()) as llm:
            answer = await llm.complete("Hello")
    """
    database = open_database(settings)
    # Calls are not counted before the SQLite file exists, and must not create it.
    exists = database.url.kind != "sqlite" or database.url.path.exists()
    features = installed_features() if exists else ()
    llm = LanguageModel.of(settings, guard_of(features, settings, database))
    try:
        await llm.refresh()
        yield llm
    finally:
        await llm.close()
        await database.dispose()


async def get_llm(request: Request) -> LanguageModel:
    request = on_site(request)
    require_feature("llm", request.app.state.features)
    llm: LanguageModel = request.app.state.llm
    await llm.refresh()
    return llm.charged_to(llm.guard.payer_of(request)) if llm.guard else llm


Llm = Annotated[LanguageModel, Depends(get_llm)]
"""Dependency of a route: the language model, with calls charged to the user or visitor."""
