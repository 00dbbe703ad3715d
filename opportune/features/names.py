"""Names that features register: no two may be equal, and some belong to the framework."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi.routing import APIRoute, APIWebSocketRoute

from opportune.feature import Feature
from opportune.features.core import CORE_FEATURES
from opportune.project.layout import display_path, feature_folder
from opportune.project.optional_features import OPTIONAL_FEATURES
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import listed_routes

FRAMEWORK_NAMES = {feature.name for feature in CORE_FEATURES} | OPTIONAL_FEATURES.keys()
"""Names of the framework's features. Features of projects and packages have other names."""
PARAMETER = re.compile(r"\{[^}]*\}")
"""A parameter in the path of a route."""
RESERVED_SERVICES = (
    "settings", "features", "declared_permissions", "database", "storage", "services", "jobs", "shutting_down",
    "opportune", "admin_editors", "health_check", "invited_at", "has_started", "is_draining", "is_migrated",
    "answers", "documentation", "full_toolbox", "mcp_offers", "offered_tools", "request_records", "retrieval",
    "toolbox", "upgrade", "workers", "is_test_app",
)  # fmt: skip
"""Names in `app.state` that the framework sets itself."""


def find_feature_name_errors(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each feature with the name of one of the framework, whose migrations it would get."""
    counts = Counter(feature.name for feature in features)
    for name in sorted(FRAMEWORK_NAMES & counts.keys()):
        file = feature_folder(name) / "feature.py"
        if counts[name] > 1 or file.exists():
            where = display_path(file) if file.exists() else f"Feature({name!r})"
            yield f"{where}: the framework has a feature named {name}. Give this one another name."


def find_repeated_names(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each name that is registered twice."""
    locations = {("template name", name): "opportune.web.rendering.templates" for name in templates.built_in_names}
    locations |= {("service", name): "opportune.application" for name in RESERVED_SERVICES}
    for feature in features:
        for type_, name, module in _registrations(feature):
            location = f"{module} (feature {feature.name})"
            if other := locations.get((type_, name)):
                yield f"The {type_} {name} is registered twice: in {other} and in {location}. Rename one."
            locations[type_, name] = location


def find_doubled_prefixes(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each route of an API whose path repeats `/api/v1`, below which it is mounted."""
    for feature in features:
        for route in listed_routes(feature.api):
            path = getattr(route, "path", "")
            if f"{path}/".startswith("/api/v1/"):
                yield f"Feature({feature.name!r}, api=…) adds /api/v1 to {path}. Write its path without /api/v1."


def _registrations(feature: Feature) -> Iterator[tuple[str, str, str]]:
    """Yield the type, name and module of everything that a feature registers under a name."""
    for type_, name, object_ in _named_objects(feature):
        yield type_, name, getattr(object_, "__module__", "")
    for name in (*feature.admin.operations, *feature.admin.actions):
        yield "operation", name, "feature.py"
    views = feature.admin.views
    for view in [views] if isinstance(views, str) else map(_qualified_name, views):
        yield "admin view", view, "feature.py"


def _named_objects(feature: Feature) -> Iterator[tuple[str, str, Any]]:
    """Yield the type and name of the functions and classes that a feature registers, each with its object."""
    handlers = feature.site.error_handlers.items()
    checks = (*feature.monitoring.checks, *feature.monitoring.production_checks)
    helpers = (*feature.site.template_filters.items(), *feature.site.template_globals.items())
    yield from (("job", job.name, job.function) for job in feature.jobs.definitions)
    yield from (("command", command, feature) for command in feature.commands)
    yield from (("service", service.name, service.make) for service in feature.process.services)
    yield from (("check", _qualified_name(check), check) for check in checks)
    yield from (("hook", _qualified_name(hook), hook) for hook in feature.hooks)
    yield from (("tool", *_named_tool(tool)) for tool in feature.llm.tools)
    yield from (("resource", uri, function) for uri, function in feature.llm.resources.items())
    yield from (("prompt", *_named_tool(prompt)) for prompt in feature.llm.prompts)
    yield from (("error handler of", _qualified_name(error), handler) for error, handler in handlers)
    yield from (("template name", name, helper) for name, helper in helpers)
    yield from (("route", path, route.endpoint) for path, route in routes_of(feature))


def _named_tool(tool: Any) -> tuple[str, Any]:
    function = getattr(tool, "function", tool)  # of a `Tool` with options
    return getattr(tool, "name", function.__name__), function


def routes_of(feature: Feature) -> Iterator[tuple[str, APIRoute | APIWebSocketRoute]]:
    """Yield the method and path of each route, with the route."""
    for prefix, routers in (("/api/v1", feature.api), ("", feature.pages), ("", feature.site.routes)):
        for route in listed_routes(routers):
            if isinstance(route, APIRoute | APIWebSocketRoute):
                path = PARAMETER.sub("{}", prefix + route.path)
                for method in getattr(route, "methods", ("WEBSOCKET",)):
                    yield f"{method} {path}", route


def _qualified_name(object_: Any) -> str:
    return f"{object_.__module__}.{getattr(object_, '__qualname__', object_)}"
