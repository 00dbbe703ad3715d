"""Assembly of the site: `create_app`, the application's lifespan, and `mount` for existing applications."""

import asyncio
import os
import sys
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from pydantic import SecretStr
from sqlalchemy import URL
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from opportune import features as framework
from opportune.accounts.dependencies import get_optional_user
from opportune.accounts.events.kinds import add_event_kinds
from opportune.accounts.submissions import DatabaseSubmissions
from opportune.accounts.tokens.openapi import describe
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.admin.middleware import LazyAdmin, add_admin, add_icons
from opportune.config.settings import (
    Settings,
    clear_settings_cache,
    get_settings,
    load_settings,
    read_feature_settings,
    set_settings,
)
from opportune.db.factory import open_database
from opportune.db.sessions.missing_awaits import collect_missing_awaits
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.feature import Admin, Data, Feature, Jobs
from opportune.features.consistency import require_consistent_features
from opportune.features.core import all_features, running_process
from opportune.jobs.service import DatabaseJobQueue, declared_jobs, open_services
from opportune.project.current import HAS_PROJECT
from opportune.project.installed import installed_features, mounted_features, require_unique_names
from opportune.project.layout import PACKAGE
from opportune.server.garbage_collection import tune_gc
from opportune.server.shutdown import watch_signals
from opportune.storage import open_storage
from opportune.web.errors.handlers import add_error_handlers
from opportune.web.errors.problem import wants_json
from opportune.web.language import LanguagePrefixMiddleware, language_prefixes
from opportune.web.middleware.body_limit import BodyLimitMiddleware
from opportune.web.middleware.compression import CompressionMiddleware
from opportune.web.middleware.mounted_site import MountedSite, SiteMiddleware
from opportune.web.middleware.origins import AllowedHostsMiddleware, ApiCorsMiddleware, CsrfMiddleware
from opportune.web.middleware.read_your_writes import ReadYourWritesMiddleware
from opportune.web.middleware.request import RequestMiddleware
from opportune.web.middleware.submissions import SubmissionMiddleware
from opportune.web.rendering.compiled_templates import CompiledTemplates
from opportune.web.rendering.templates import templates
from opportune.web.rendering.warm_up import warm_up
from opportune.web.routing.api_router import router_list
from opportune.web.routing.encoders import add_encoders
from opportune.web.routing.router import DefaultLifespan, Router, build_mounted_routes, operation_id
from opportune.web.static.files import STATIC_URL

OWN_FEATURE = "application"
"""Name of the feature with the views and jobs of an existing application."""


def create_app(settings: Settings | None = None, features: Sequence[Feature] | None = None) -> FastAPI:
    """Return the ASGI application of the site. Its database is opened when it starts and closed when it stops.

    Args:
        settings: Settings of the site; by default those of the environment and `.env`.
        features: Installed features; by default those of the project's `installed.py`.

    Raises:
        OperatorError: Settings are invalid, or features conflict.
    """
    installed = installed_features() if features is None else features
    if features is not None:
        require_unique_names(features)
    listed = getattr(sys.modules.get(f"{PACKAGE}.installed"), "INSTALLED", None)
    is_complete = features is None or features is listed  # tests may create sites with some of the features
    return assemble(settings or get_settings(), all_features(installed), is_complete=is_complete)


def assemble(settings: Settings, features: Sequence[Feature], *, is_complete: bool = False) -> FastAPI:
    """Return the application of exactly these features. See `create_app`."""
    # In production `check` reports mistakes in routes, and analysing them would delay the start.
    require_consistent_features(features, is_complete=is_complete, check_dependencies=not settings.is_production)
    read_feature_settings(settings, features)
    app = FastAPI(
        title=settings.site_name,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else FastAPI searches for telemetry providers
    )
    app.router = router = Router(
        lifespan=lifespan, dependency_overrides_provider=app, generate_unique_id_function=operation_id
    )
    router.page_dependencies = [Depends(get_optional_user)]  # templates show the user
    router.default = respond_not_found
    add_encoders()
    app.state.settings = settings
    app.state.has_started = False
    app.state.features = features
    app.state.navigation = [link for feature in features for link in feature.site.navigation]
    app.state.navigation_templates = [*filter(None, (feature.site.navigation_template for feature in features))]
    app.state.declared_permissions = DeclaredPermissions(features)
    if not settings.is_production:  # in production, `check` reports unknown permissions
        app.state.declared_permissions.require_existing()
    add_icons(features)
    add_event_kinds(features)
    templates.add_helpers(features)
    templates.environment.auto_reload = settings.environment == "development"
    add_services(app.state, settings)
    add_error_handlers(app, features)
    app.user_middleware = list(build_middleware(app))
    for feature in reversed(features):
        if feature.site.init_app:
            feature.site.init_app(app)
    add_routes(router, features)
    add_admin(app)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]  # as FastAPI's guide does
    if not settings.is_production:  # there `check` reports mistakes, and building the admin would delay the start
        build_mounted_routes(app.routes)
    return app


async def respond_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request that no route handles. Its error page shows the menu of the user.

    Raises:
        HTTPException: With status 404. A WebSocket is closed instead.
    """
    if scope["type"] == "http":
        request = Request(scope, receive)
        if not wants_json(request):
            await get_optional_user(request)
    await scope["router"].not_found(scope, receive, send)


def create_on_first_use(module: dict[str, Any]) -> None:
    """Give a module with `create_app` the attribute `app`, for servers that need a name. Others do not create it."""

    def create(name: str) -> FastAPI:
        if name != "app":
            raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
        _use_port_of_server()
        try:
            app: FastAPI = module["create_app"]()
        except OperatorError as error:
            sys.exit(str(error))
        except AttributeError as error:  # uvicorn would report that the module has no `app`
            raise RuntimeError(f"The site cannot start: {error}") from error
        module["app"] = app
        return app

    module["__getattr__"] = create
    module["__dir__"] = lambda: sorted({*module, "app"})  # `fastapi` searches these names


def _use_port_of_server() -> None:
    """Set PORT to the option `--port` of `fastapi` and `uvicorn`, because links in e-mails contain it."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.stem == "__main__" else program.stem  # as by `python -m uvicorn`
    if name not in {"fastapi", "uvicorn"}:
        return
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--port", default=os.environ.get("UVICORN_PORT"))
    port = parser.parse_known_args()[0].port
    if port and port != "0":  # the system chooses a free port instead of 0
        os.environ["PORT"] = port
        clear_settings_cache()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
    async with running_process(app.state.services), AsyncExitStack() as stack:
        await start_services(app.state, stack)
        state: dict[str, Any] = {}
        for feature in app.state.features:
            if feature.process.lifespan:
                state |= await stack.enter_async_context(feature.process.lifespan(app)) or {}
        await stack.enter_async_context(DefaultLifespan(app.router)(app))
        await stack.enter_async_context(watch_signals(app))
        tune_gc()
        if app.state.settings.environment == "development":
            stack.enter_context(collect_missing_awaits())
        if app.state.settings.is_production and not LazyAdmin.bytecode_cache:  # tests share another one
            templates.environment.bytecode_cache = CompiledTemplates("page_%s")
            LazyAdmin.bytecode_cache = CompiledTemplates("admin_%s")  # compiles the same templates with other options
        if app.state.settings.environment != "test":
            await warm_up(app)
        stack.callback(setattr, app.state, "has_started", False)
        app.state.has_started = True
        yield state or None  # Starlette refuses any other value on servers that do not support state


def add_services(state: State, settings: Settings) -> None:
    """Add the services that routes find in `app.state`. Their settings are parsed now; nothing is opened yet."""
    state.database = open_database(settings)
    state.storage = open_storage(settings, state.database)
    state.services = open_services(settings, state.database, state.storage, state.features)
    state.services.add_to(state)
    state.jobs = DatabaseJobQueue(state.services, declared_jobs(state.features))
    state.shutting_down = asyncio.Event()


async def start_services(state: State, stack: AsyncExitStack) -> None:
    """Start the database and the jobs. They are closed in reverse order: jobs end before the services they use."""
    await state.database.setup()
    stack.push_async_callback(state.database.dispose)
    stack.push_async_callback(state.services.close)
    await stack.enter_async_context(state.jobs.running())


def build_middleware(app: FastAPI) -> Iterator[Middleware]:
    """Yield the middleware of the features and then of the framework, outermost first."""
    settings: Settings = app.state.settings
    if language_prefixes(settings):  # first, so that all others see the same URLs in all languages
        yield Middleware(LanguagePrefixMiddleware, settings=settings)
    for feature in app.state.features:
        yield from feature.site.middleware(app) if callable(feature.site.middleware) else feature.site.middleware
    yield Middleware(RequestMiddleware, settings=settings)
    if settings.database_reader_url.get_secret_value():
        yield Middleware(ReadYourWritesMiddleware, settings=settings)
    yield Middleware(CompressionMiddleware, excluded_prefix=f"{STATIC_URL}/")
    yield Middleware(AllowedHostsMiddleware, settings=settings)
    if settings.cors_origins:  # outside CSRF protection, so that scripts can read why a request was refused
        yield Middleware(ApiCorsMiddleware, settings=settings)
    yield Middleware(CsrfMiddleware, settings=settings)
    yield Middleware(SubmissionMiddleware, store=DatabaseSubmissions(app.state.database))
    yield Middleware(BodyLimitMiddleware, max_file_bytes=settings.max_upload_bytes)


def add_routes(router: Router, features: Sequence[Feature]) -> None:
    for feature in features:
        for routes in router_list(feature.site.routes):
            router.include_flat(routes, include_in_schema=False)
        for api in router_list(feature.api):
            router.include_flat(api, "/api/v1")
        for pages in router_list(feature.pages):
            router.include_pages(pages)


def mount(
    app: FastAPI,
    database: Any = None,
    *,
    admin: Sequence[type[Any]] = (),
    jobs: Sequence[Any] = (),
    features: Sequence[Feature] = (),
    settings: Settings | None = None,
) -> FastAPI:
    """Add accounts, the admin and jobs to an existing application. Call it below its routes.

    The routes, pages and handlers of the application stay as they are. A mistake ends the process with one line.

    Args:
        app: The application that the server runs.
        database: An engine of SQLAlchemy or a URL; by default DATABASE_URL. The site opens its own connections.
        admin: Views of the application's models: `class HeroAdmin(AdminView, model=Hero)`.
        jobs: Jobs of the application.
        features: More features, such as `opportune.features.teams`.
        settings: Settings; by default those of the environment and of `.env` in the working directory.

    Returns:
        The site, also at `app.state.opportune`. Its `state` has services, such as `site.state.jobs.enqueue(…)`.
    """
    try:
        _require_new_application(app)
        settings = _settings_with(database, settings)
        return _add_site(app, settings, [*_own_features(admin, jobs), *features])
    except OperatorError as error:  # the server is importing the application, and would print a traceback
        sys.exit(str(error))


def _require_new_application(app: object) -> None:
    if not isinstance(app, FastAPI):
        raise OperatorError(
            f"opportune.mount() needs the FastAPI application, not {type(app).__name__}: opportune.mount(app)."
        )
    if hasattr(app.state, "opportune"):
        raise OperatorError("opportune.mount() was called twice for the same application. Remove one of the calls.")
    if app.middleware_stack is not None:
        raise OperatorError(
            "opportune.mount() was called after the application had started. Call it in the module that creates the "
            "application, below its routes."
        )


def _settings_with(database: Any, settings: Settings | None) -> Settings:
    """Return the settings with the database of an engine or URL."""
    if database is None:
        return settings or get_settings()
    url = getattr(database, "url", database)  # of a synchronous or asynchronous engine
    text = url.render_as_string(hide_password=False) if isinstance(url, URL) else url
    if not isinstance(text, str):
        raise OperatorError(
            f"opportune.mount() cannot use {type(database).__name__} as a database. Pass the engine or its URL."
        )
    DatabaseUrl.parse(text, name="The database of opportune.mount()")
    if settings is None:
        return load_settings(database_url=text)
    return settings.model_copy(update={"database_url": SecretStr(text)})


def _own_features(admin: Sequence[type[Any]], jobs: Sequence[Any]) -> Iterator[Feature]:
    models = [*dict.fromkeys(view.model for view in admin if hasattr(view, "model"))]
    if admin or jobs:
        yield Feature(
            OWN_FEATURE,
            "Models and jobs of the application.",
            models=models,
            data=Data(adopts_tables=True),
            admin=Admin(admin),
            jobs=Jobs(jobs),
        )


def _add_site(app: FastAPI, settings: Settings, additional: Sequence[Feature]) -> FastAPI:
    if not HAS_PROJECT:
        set_settings(settings)
    installed = [framework.accounts, framework.admin, framework.jobs, *additional]  # loaded now, as they read settings
    require_unique_names(installed)
    site = assemble(settings, all_features(installed))
    if not HAS_PROJECT:
        mounted_features[:] = installed
    app.state.opportune = site
    mounted = MountedSite(app, site)
    app.user_middleware.append(Middleware(SiteMiddleware, mounted=mounted))  # inside those of the application
    app.router.lifespan_context = mounted.lifespan_with(app.router.lifespan_context)
    return site
