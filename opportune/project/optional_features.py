"""Features of the framework that a project lists in `installed.py`. Nothing here imports them."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from opportune.errors import OperatorError
from opportune.project.feature_packages import HAS_PROJECT
from opportune.project.layout import FRAMEWORK, PACKAGE


class OptionalFeature(NamedTuple):
    package: str
    """Package below `opportune`, with `feature.py`."""
    urls: tuple[str, ...] = ()
    """Beginnings of the paths of its pages."""


OPTIONAL_FEATURES = {
    "accounts": OptionalFeature("accounts"),
    "admin": OptionalFeature("admin"),
    "dashboard": OptionalFeature("contrib.dashboard"),
    "saved_views": OptionalFeature("contrib.saved_views"),
    "reports": OptionalFeature("contrib.reports"),
    "row_versions": OptionalFeature("contrib.row_versions"),
    "import_export": OptionalFeature("contrib.import_export"),
    "jobs": OptionalFeature("jobs"),
    "llm": OptionalFeature("contrib.llm"),
    "answers": OptionalFeature("contrib.answers", ("/answers", "/api/v1/answers")),
    "assistants": OptionalFeature("contrib.assistants", ("/assistants", "/api/v1/assistants")),
    "evaluation": OptionalFeature("contrib.evaluation"),
    "telemetry": OptionalFeature("contrib.telemetry", ("/metrics",)),
    "request_panel": OptionalFeature("contrib.request_panel", ("/_debug",)),
    "backup": OptionalFeature("contrib.backup"),
    "doctor": OptionalFeature("contrib.doctor"),
    "deploy": OptionalFeature("contrib.deploy"),
    "database_cache": OptionalFeature("contrib.database_cache"),
    "copydb": OptionalFeature("contrib.copydb"),
    "dumps": OptionalFeature("contrib.dumps"),
    "inspectdb": OptionalFeature("contrib.inspectdb"),
    "documentation": OptionalFeature("contrib.documentation", ("/docs",)),
    "documents": OptionalFeature("contrib.documents"),
    "knowledge": OptionalFeature("contrib.knowledge", ("/knowledge", "/api/v1/knowledge")),
    "mcp": OptionalFeature("contrib.mcp", ("/mcp", "/accounts/oauth")),
    "ag_ui": OptionalFeature("contrib.ag_ui", ("/api/v1/ag-ui",)),
    "palette": OptionalFeature("contrib.palette", ("/search",)),
    "teams": OptionalFeature("contrib.teams", ("/teams", "/api/v1/teams")),
    "agents": OptionalFeature("contrib.agents"),
    "welcome": OptionalFeature("contrib.welcome", ("/welcome",)),
}
"""All of them by name. `opportune.features` loads those that a project lists."""


def how_to_list(name: str) -> str:
    """Return `Add `backup` to app/installed.py.` for the end of a message."""
    place = f"{PACKAGE}/installed.py" if HAS_PROJECT else "opportune.mount(features=[…])"
    return f"Add `{name}` to {place}."


def require_feature(name: str, installed: Iterable[Any]) -> None:
    """Check that the features of a site include an optional one.

    Raises:
        OperatorError: The feature is missing. The message names it and the file to change.
    """
    if all(feature.name != name for feature in installed):
        raise OperatorError(f"The feature {name} is not installed. {how_to_list(name)}")


@cache
def feature_of_module(name: str) -> str:
    """Return the optional feature with this module; empty if there is none."""
    packages = ((feature, f"opportune.{optional.package}.") for feature, optional in OPTIONAL_FEATURES.items())
    return next((feature for feature, package in packages if f"{name}.".startswith(package)), "")


def feature_of_path(path: str) -> str:
    """Return the optional feature with a page of this path; empty if there is none."""
    for name, feature in OPTIONAL_FEATURES.items():
        if any(f"{path}/".startswith(f"{url}/") for url in feature.urls):
            return name
    return ""


def feature_of_setting(name: str) -> str:
    """Return the optional feature with this setting; empty if there is none. Its `settings.py` is read as text."""
    return _features_of_settings().get(name.lower(), "")


@cache
def _features_of_settings() -> dict[str, str]:
    """Return the optional features by the names of their settings."""
    features: dict[str, str] = {}
    for feature, optional in OPTIONAL_FEATURES.items():
        file = Path(FRAMEWORK, *optional.package.split("."), "settings.py")
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        features |= dict.fromkeys(re.findall(r"^    ([a-z]\w*) *:", text, re.MULTILINE), feature)
    return features
