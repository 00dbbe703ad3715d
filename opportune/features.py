"""The framework's features: the core ones, which every site has, and those a project lists in `installed.py`."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from opportune.db.hooks.registry import hook_fault
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.llm.feature import llm
from opportune.llm.tools.feature import tools
from opportune.mail.feature import mail
from opportune.ops.backup.feature import backup
from opportune.ops.doctor.feature import doctor
from opportune.ops.telemetry.feature import telemetry
from opportune.runtime.lazy_exports import lazy_exports
from opportune.runtime.services import Services
from opportune.search.feature import search
from opportune.web.rendering.templates import templates
from opportune.web.routing import several

if TYPE_CHECKING:
    from opportune.accounts.feature import accounts
    from opportune.admin.feature import admin
    from opportune.contrib.mcp.feature import mcp
    from opportune.contrib.teams.feature import teams
    from opportune.jobs.feature import jobs
    from opportune.llm.answers.feature import answers

__all__ = ["CORE_FEATURES", "accounts", "admin", "answers", "jobs", "mcp", "teams"]

# Lazy, so that a site does not load features that it has not installed.
__getattr__ = lazy_exports(
    "opportune",
    {
        ".accounts.feature": ("accounts",),
        ".admin.feature": ("admin",),
        ".contrib.mcp.feature": ("mcp",),
        ".contrib.teams.feature": ("teams",),
        ".jobs.feature": ("jobs",),
        ".llm.answers.feature": ("answers",),
    },
)

CORE_FEATURES = (telemetry, mail, backup, doctor, search, llm, tools)
"""Features of every site. They have no tables, and a project does not list them. Telemetry observes all others."""


PARAMETER = re.compile(r"\{[^}]*\}")
"""A parameter in the path of a route."""


def all_features(installed: Iterable[Feature]) -> list[Feature]:
    """Return the core features and the installed ones."""
    return [*CORE_FEATURES, *(feature for feature in installed if feature not in CORE_FEATURES)]


def require_registration(features: Iterable[Feature]) -> None:
    """Refuse features that register something twice or unusable.

    Raises:
        OperatorError: One line with the places.
    """
    if fault := next(registration_faults(features), ""):
        raise OperatorError(fault)


def registration_faults(features: Iterable[Feature]) -> Iterator[str]:
    features = list(features)
    places = {("filter or global", name): "opportune.web.rendering.templates" for name in templates.built_in_names}
    for feature in features:
        for what, name, module in _registrations(feature):
            place = f"{module} (feature {feature.name})"
            if (what, name) in places:
                yield f"The {what} {name} is registered twice: in {places[what, name]} and in {place}. Rename one."
            places[what, name] = place
    for feature in features:
        for call in (*feature.operations.values(), *feature.first_jobs):
            if ("job", call.job.name) not in places:
                yield (
                    f"Feature({feature.name!r}) queues the job {call.job.name} of {call.job.function.__module__}, "
                    "which no installed feature lists: add it to jobs=[…], or install its feature."
                )
        if fault := hook_fault(feature.name, feature.hooks):
            yield fault


def _registrations(feature: Feature) -> Iterator[tuple[str, str, str]]:
    """Return everything a feature registers by name: its kind, its name and the module it is in."""
    for job in feature.jobs:
        yield "job", job.name, job.function.__module__
    for service in feature.services:
        yield "service", service.name, service.make.__module__
    for check in (*feature.checks, *feature.production_checks):
        yield "check", f"{check.__module__}.{getattr(check, '__qualname__', check)}", check.__module__
    for name, helper in (*feature.template_filters.items(), *feature.template_globals.items()):
        yield "filter or global", name, getattr(helper, "__module__", "")
    for name in (*feature.operations, *feature.admin_operations):
        yield "operation", name, f"{feature.name}.feature"
    for prefix, routers in (("/api/v1", feature.api), ("", feature.pages)):
        for route in chain.from_iterable(router.routes for router in several(routers)):
            if isinstance(route, APIRoute):
                path = PARAMETER.sub("{}", prefix + route.path)
                for method in route.methods or ():
                    yield "address", f"{method} {path}", route.endpoint.__module__


@asynccontextmanager
async def running_process(services: Services) -> AsyncIterator[None]:
    """Enter what the features need in each process, server or worker, until the block ends."""
    async with AsyncExitStack() as stack:
        for feature in services.features:
            if feature.process:
                await stack.enter_async_context(feature.process(services))
        yield
