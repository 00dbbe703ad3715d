"""The framework's own features, for a project's list of what is installed."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opportune.accounts.feature import accounts
    from opportune.admin.feature import admin
    from opportune.answers.feature import answers
    from opportune.feature import Feature
    from opportune.jobs.feature import jobs
    from opportune.mcp.feature import mcp
    from opportune.teams.feature import teams

__all__ = ["accounts", "admin", "answers", "jobs", "mcp", "teams"]


def __getattr__(name: str) -> "Feature":
    """Import a feature when it is asked for: what is not installed costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    feature: Feature = getattr(import_module(f"opportune.{name}.feature"), name)
    return feature
