"""The framework's features: the core ones, which every site has, and those a project lists in `installed.py`."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from opportune.feature import Feature
from opportune.llm.feature import llm
from opportune.llm.tools.feature import tools
from opportune.mail.feature import mail
from opportune.ops.backup.feature import backup
from opportune.ops.doctor.feature import doctor
from opportune.ops.telemetry.feature import telemetry
from opportune.runtime.services import Services
from opportune.search.feature import search

if TYPE_CHECKING:
    from opportune.accounts.feature import accounts
    from opportune.admin.feature import admin
    from opportune.contrib.mcp.feature import mcp
    from opportune.contrib.teams.feature import teams
    from opportune.jobs.feature import jobs
    from opportune.llm.answers.feature import answers

__all__ = ["accounts", "admin", "answers", "jobs", "mcp", "teams"]

_MODULES = {
    "accounts": "opportune.accounts.feature",
    "admin": "opportune.admin.feature",
    "answers": "opportune.llm.answers.feature",
    "jobs": "opportune.jobs.feature",
    "mcp": "opportune.contrib.mcp.feature",
    "teams": "opportune.contrib.teams.feature",
}

CORE_FEATURES = (telemetry, mail, backup, doctor, search, llm, tools)
"""Features of every site. They have no tables, and a project does not list them. Telemetry observes all others."""


def all_features(installed: Iterable[Feature]) -> list[Feature]:
    """Return the core features and the installed ones."""
    return [*CORE_FEATURES, *(feature for feature in installed if feature not in CORE_FEATURES)]


@asynccontextmanager
async def running_process(services: Services) -> AsyncIterator[None]:
    """Enter what the features need in each process, server or worker, until the block ends."""
    async with AsyncExitStack() as stack:
        for feature in services.features:
            if feature.process:
                await stack.enter_async_context(feature.process(services))
        yield


def __getattr__(name: str) -> Feature:
    """Import a feature on first access, so that sites do not load features they have not installed."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    feature: Feature = getattr(import_module(_MODULES[name]), name)
    return feature
