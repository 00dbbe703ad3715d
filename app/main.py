"""The application, put together. Reads as a table of contents."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI

from app.accounts.current import user_of
from app.admin.site import add_admin
from app.core import health
from app.core.db.opening import open_database
from app.core.lifetime import heed_signals
from app.core.settings import Settings, get_settings
from app.core.web import apidocs
from app.core.web.assets import URL as STATIC_URL
from app.core.web.assets import assets
from app.core.web.csrf import ForeignOrigins
from app.core.web.edge import Edge
from app.core.web.limits import BodyLimit, KnownHosts
from app.core.web.problems import add_problem_handlers
from app.installed import INSTALLED


def create_app(settings: Settings | None = None) -> FastAPI:
    """The site of these settings; its database is opened when it starts and closed when it stops."""
    settings = settings or get_settings()
    app = FastAPI(title="Opportune", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    app.state.features = INSTALLED
    app.state.database = open_database(settings)
    app.state.stopping = asyncio.Event()
    add_problem_handlers(app)
    add_middleware(app, settings)
    add_routes(app, settings)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await app.state.database.setup()
        stack.push_async_callback(app.state.database.dispose)
        for feature in INSTALLED:
            if feature.lifespan:
                await stack.enter_async_context(feature.lifespan(app))
        await stack.enter_async_context(heed_signals(app))
        yield


def add_middleware(app: FastAPI, settings: Settings) -> None:
    # The last one added is the outermost: headers and log lines are for refusals too.
    app.add_middleware(BodyLimit)
    app.add_middleware(ForeignOrigins, settings=settings)
    app.add_middleware(KnownHosts, settings=settings)
    app.add_middleware(Edge, settings=settings)


def add_routes(app: FastAPI, settings: Settings) -> None:
    app.include_router(health.router)
    app.mount(STATIC_URL, assets, name="static")
    api = APIRouter(prefix="/api/v1")
    for feature in INSTALLED:
        if feature.api:
            api.include_router(feature.api)
        if feature.pages:
            # Each page knows who looks at it, also one that does not ask.
            app.include_router(feature.pages, include_in_schema=False, dependencies=[Depends(user_of)])
    app.include_router(api)
    add_admin(app)
    if not settings.is_production:
        apidocs.add_routes(app)
