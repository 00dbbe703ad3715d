"""The site of most tests, which need neither the admin nor a worker."""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.params import Depends
from fastapi.routing import APIRoute, request_response
from jinja2 import FileSystemBytecodeCache
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune import application
from opportune.admin.middleware import LazyAdmin
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.web import feature as web_feature
from opportune.web.cache.counts import Counts
from opportune.web.rendering.templates import templates
from opportune.web.routing.router import CachedRoute, Router

GC_THRESHOLDS = (20_000, 50, 50)
"""Higher than Python's. Beyond this, the objects to search no longer fit into the caches of a processor."""


def create_test_app(
    settings: Settings, features: Sequence[Feature] | None = None, *, runs_jobs: bool = False
) -> FastAPI:
    """Create a site without a worker unless `runs_jobs`, and with admin routes built on first use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "build_mounted_routes", lambda _routes: None)
        app = application.create_app(settings, features)
    app.state.is_test_app = True
    app.state.jobs.worker.polled_at = time.monotonic()  # no check of the queue at the first commit
    app.state.jobs.is_inline &= runs_jobs
    return app


@contextmanager
def share_site_caches(run_folder: Path) -> Iterator[None]:
    """Share compiled templates with the processes of this run, and collect garbage seldom."""
    with pytest.MonkeyPatch.context() as patch:
        # Separate files, because the admin compiles the same templates with other options.
        patch.setattr(LazyAdmin, "bytecode_cache", FileSystemBytecodeCache(str(run_folder), "admin_%s"))
        patch.setattr(templates.environment, "bytecode_cache", FileSystemBytecodeCache(str(run_folder), "page_%s"))
        patch.setattr(application, "tune_gc", lambda: None)
        patch.setattr(application, "warm_up", skip_warm_up)
        # Seconds until static files are hashed again, which sites in development do each second.
        patch.setattr(web_feature, "CHECK_INTERVAL_SECONDS", 3600)
        share_copied_routes(patch)
        # Frozen permanently: otherwise pytest and this code would scan the earlier objects again.
        gc.set_threshold(*GC_THRESHOLDS)
        yield


async def skip_warm_up(_app: FastAPI) -> None:
    """Start sites of other environments without the background work, which takes longer than most tests."""


def share_copied_routes(patch: pytest.MonkeyPatch) -> None:
    """Copy and analyse the routes of each router once, and not again for each of the thousands of sites of a run."""
    include_flat = Router.include_flat
    shared: dict[object, tuple[APIRouter, list[BaseRoute], list[APIRoute]]] = {}
    """Routers with their routes and copies. Routers are kept, because the id of a deleted one could be reused."""

    def include_shared(
        site: Router,
        router: APIRouter,
        prefix: str = "",
        dependencies: Sequence[Depends] = (),
        *,
        include_in_schema: bool = True,
    ) -> None:
        key = id(router), prefix, include_in_schema, *site.dependencies, *dependencies
        _, routes, copies = shared.get(key, (router, [], []))
        if not copies or routes != router.routes:
            count = len(site.routes)
            lifespan = site.lifespan_context
            include_flat(site, router, prefix, dependencies, include_in_schema=include_in_schema)
            included = site.routes[count:]
            copies = [route for route in included if isinstance(route, APIRoute)]
            if len(copies) < len(included) or site.lifespan_context is not lifespan:
                return  # each site has its own sockets, mounts and lifespan
            for route in copies:
                _ = route.dependant  # else each copy would be analysed
            shared[key] = router, [*router.routes], copies
            del site.routes[count:]
        for route in copies:
            copied = object.__new__(type(route))  # faster than `copy`, because each site copies hundreds of routes
            vars(copied).update(vars(route))
            copied.dependency_overrides_provider = site.dependency_overrides_provider
            copied.app = first_use(copied)
            if isinstance(copied, CachedRoute):
                copied.counts = Counts()
            site.routes.append(copied)

    patch.setattr(Router, "include_flat", include_shared)


def first_use(route: APIRoute) -> ASGIApp:
    """Return an application that builds the handler of the route, because a test requests few of them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        handler = request_response(route.get_route_handler())
        limit = route.max_body_size
        route.app = handler if limit is None else RequestBodyLimitMiddleware(handler, limit)
        await route.app(scope, receive, send)

    return app
