"""The application, put together. Reads as a table of contents."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI
from starlette.datastructures import State

from opportune.accounts.dependencies import get_optional_user
from opportune.accounts.rate_limits.storage import DatabaseStorage
from opportune.accounts.rate_limits.submissions import DatabaseSubmissions
from opportune.accounts.sessions.last_seen import LastSeen
from opportune.accounts.tokens.openapi import describe
from opportune.admin.mount import add_admin, add_icons
from opportune.admin.permissions import Permissions
from opportune.config.project import installed_features, require_distinct
from opportune.config.settings import Settings, get_settings, read_feature_settings
from opportune.config.speedups import speedup
from opportune.db.factory import open_database
from opportune.feature import Feature
from opportune.features import all_features, require_registration, running_process
from opportune.jobs.factory import open_jobs, open_services
from opportune.server.loop_monitor import monitor_loop
from opportune.server.shutdown import tune_gc, watch_signals
from opportune.storage import open_storage, routes
from opportune.web import api_docs, health, markdown_preview, root_files
from opportune.web.cache import open_cache
from opportune.web.errors import debug_page
from opportune.web.errors.handlers import add_error_handlers
from opportune.web.middleware.allowed_hosts import AllowedHostsMiddleware
from opportune.web.middleware.body_limit import BodyLimitMiddleware
from opportune.web.middleware.compression import CompressionMiddleware
from opportune.web.middleware.cors import ApiCorsMiddleware
from opportune.web.middleware.csrf import CsrfMiddleware
from opportune.web.middleware.read_your_writes import ReadYourWritesMiddleware
from opportune.web.middleware.request import RequestMiddleware
from opportune.web.middleware.submissions import SubmissionMiddleware
from opportune.web.rate_limit import RateLimiter
from opportune.web.rate_limit.cache_storage import CacheStorage
from opportune.web.rendering.static_files import STATIC_URL, assets
from opportune.web.rendering.templates import templates
from opportune.web.routing import Router, analyze, several
from opportune.web.warm_up import warm_up


def create_app(settings: Settings | None = None, features: Sequence[Feature] | None = None) -> FastAPI:
    """The site of these settings; its database is opened when it starts and closed when it stops."""
    settings = settings or get_settings()
    installed = installed_features() if features is None else features
    require_distinct(installed)
    features = all_features(installed)
    require_registration(features)
    read_feature_settings(settings, features)
    app = FastAPI(
        title=settings.site_name,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else FastAPI looks for providers each time
    )
    router_class = speedup("opportune.web.fastapi_adapter", "FastRouter", Router)
    app.router = router = router_class(lifespan=lifespan, dependency_overrides_provider=app)
    router.page_dependencies = [Depends(get_optional_user)]  # every page knows its user
    app.state.settings = settings
    app.state.features = features
    app.state.permissions = Permissions(features)
    app.state.permissions.require_known()
    add_icons(features)
    templates.add_helpers(features)
    templates.environment.auto_reload = settings.environment == "development"
    add_services(app.state, settings)
    add_error_handlers(app)
    add_middleware(app, settings)
    for feature in reversed(features):
        if feature.init_app:
            feature.init_app(app)
    add_routes(app, router, settings)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]  # as FastAPI's guide has it
    if not settings.is_production:  # there `check` tells of mistakes, and the first visitor is waiting
        analyze(app.routes)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with running_process(app.state.services), AsyncExitStack() as stack:
        await start_services(app.state, stack)
        for feature in app.state.features:
            if feature.lifespan:
                await stack.enter_async_context(feature.lifespan(app))
        await stack.enter_async_context(watch_signals(app))
        tune_gc()
        if app.state.settings.environment == "development":
            await stack.enter_async_context(monitor_loop())
        if app.state.settings.environment != "test":
            await warm_up(app)
        yield


def add_services(state: State, settings: Settings) -> None:
    """Add the services that routes find at `app.state`. Their settings are parsed now; nothing is opened yet."""
    state.database = open_database(settings)
    state.storage = open_storage(settings, state.database)
    state.services = open_services(settings, state.database, state.storage, state.features)
    for name, service in state.services.by_name().items():
        setattr(state, name, service)
    state.jobs = open_jobs(state.services, state.features)
    state.cache = open_cache(settings, state.database, who=get_optional_user)
    state.rate_limiter = RateLimiter(
        {"cache": CacheStorage(settings), "database": DatabaseStorage(state.database, settings)}
    )
    state.last_seen = LastSeen(state.database, settings)
    state.shutting_down = asyncio.Event()


async def start_services(state: State, stack: AsyncExitStack) -> None:
    """Start the services, and have them closed in reverse: jobs end while all that they use is there."""
    await state.database.setup()
    stack.push_async_callback(state.database.dispose)
    for service in (state.cache, state.rate_limiter, state.last_seen, state.services):
        stack.push_async_callback(service.close)
    await stack.enter_async_context(state.jobs.running())


def add_middleware(app: FastAPI, settings: Settings) -> None:
    # The last one added is the outermost: headers and log lines are for refusals and crashes too.
    app.add_middleware(BodyLimitMiddleware, max_file_bytes=settings.max_upload_bytes)
    app.add_middleware(SubmissionMiddleware, store=DatabaseSubmissions(app.state.database))
    app.add_middleware(CsrfMiddleware, settings=settings)
    if settings.cors_origins:  # outside of what may refuse a request: the page learns why
        app.add_middleware(ApiCorsMiddleware, settings=settings)
    app.add_middleware(AllowedHostsMiddleware, settings=settings)
    app.add_middleware(CompressionMiddleware, excluded_prefix=STATIC_URL)
    if settings.database_reader_url.get_secret_value():
        app.add_middleware(ReadYourWritesMiddleware, settings=settings)
    app.add_middleware(RequestMiddleware, settings=settings)


def add_routes(app: FastAPI, router: Router, settings: Settings) -> None:
    router.include_flat(health.router)
    router.include_flat(root_files.router)
    router.include_flat(markdown_preview.router)
    router.include_flat(routes.router)
    app.mount(STATIC_URL, assets, name="static")
    for feature in app.state.features:
        for api in several(feature.api):
            router.include_flat(api, "/api/v1")
        for pages in several(feature.pages):
            router.include_pages(pages)
    add_admin(app)
    if settings.debug:
        router.include_flat(debug_page.router)
    if not settings.is_production:
        router.include_pages(api_docs.router)
