"""The site of most tests, which need neither the admin nor a worker."""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.params import Depends
from fastapi.routing import APIRoute, request_response
from jinja2 import FileSystemBytecodeCache
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune import application
from opportune.admin.middleware import LazyAdmin
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.web import feature as web_feature
from opportune.web.cache.rule import rule_of
from opportune.web.routing.router import Router

GC_THRESHOLDS = (100_000, 20, 50)
STATIC_FILES_SECONDS = 3600
"""Seconds until static files are hashed again, which sites in development do each second."""


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
    """Share the compiled templates of the admin with the processes of this run, and collect garbage seldom."""
    folder = run_folder / "templates"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LazyAdmin, "bytecode_cache", FileSystemBytecodeCache(str(folder)))
        patch.setattr(application, "tune_gc", lambda: None)
        patch.setattr(application, "warm_up", skip_warm_up)
        patch.setattr(web_feature, "CHECK_INTERVAL_SECONDS", STATIC_FILES_SECONDS)
        share_copied_routes(patch)
        # Frozen permanently: otherwise pytest and this code would scan the earlier objects again.
        gc.set_threshold(*GC_THRESHOLDS)
        yield


async def skip_warm_up(_app: FastAPI) -> None:
    """Start sites of other environments without the background work, which takes longer than most tests."""


def share_copied_routes(patch: pytest.MonkeyPatch) -> None:
    """Analyse the parameters of each route once, and not again for each of the thousands of sites of a run."""
    copy_route = Router.copy_route
    copies: dict[object, tuple[APIRoute, APIRoute]] = {}
    """Routes with their copies. The routes are kept, because the id of a deleted one could be that of another."""

    def copy_shared(
        router: Router, route: APIRoute, prefix: str, dependencies: Sequence[Depends], include_in_schema: bool = True
    ) -> APIRoute:
        arguments = route, prefix, dependencies, include_in_schema
        if rule_of(route.endpoint):  # each site counts the hits of its cached routes
            return copy_route(router, *arguments)
        key = id(route), prefix, include_in_schema, *router.dependencies, *dependencies
        if key not in copies:
            copies[key] = route, copy_route(router, *arguments)
            _ = copies[key][1].dependant  # else each copy would be analysed
        copied = quick_copy(copies[key][1])
        copied.dependency_overrides_provider = router.dependency_overrides_provider
        copied.app = first_use(copied)
        return copied

    patch.setattr(Router, "copy_route", copy_shared)


def quick_copy(route: APIRoute) -> APIRoute:
    """Return a shallow copy in a third of the time of `copy`, because each site copies hundreds of routes."""
    copied = object.__new__(type(route))
    vars(copied).update(vars(route))
    return copied


def first_use(route: APIRoute) -> ASGIApp:
    """Return an application that builds the handler of the route, because a test requests few of them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        handler = request_response(route.get_route_handler())
        limit = route.max_body_size
        route.app = handler if limit is None else RequestBodyLimitMiddleware(handler, limit)
        await route.app(scope, receive, send)

    return app
