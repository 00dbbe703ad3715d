from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from opportune.contrib import documentation as pages
from opportune.feature import Feature, Process, Site
from opportune.web.routing.router import router_of


def init_app(app: FastAPI) -> None:
    if app.state.settings.environment == "development":
        router_of(app).include_pages(pages.router)
        app.state.documentation = pages.Documentation(app.state.settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if hasattr(app.state, "documentation"):
            await app.state.documentation.close()


documentation = Feature(
    "documentation",
    "The documentation of the framework at /docs, in development.",
    commands={"docs": "opportune.contrib.documentation.commands"},
    site=Site(init_app=init_app),
    process=Process(lifespan=lifespan),
)
