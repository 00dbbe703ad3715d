"""Features of every site, and their effects in a process."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from itertools import chain

from opportune.accounts.events.kinds import add_event_kinds
from opportune.accounts.visitors import visitors
from opportune.db.hooks.registry import limited_hooks
from opportune.feature import Feature
from opportune.i18n.languages import current_language
from opportune.mail.feature import mail
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE
from opportune.search.feature import search
from opportune.server.loop_monitor import monitor_loop
from opportune.services import Services
from opportune.web.feature import web
from opportune.web.stored_files import storage

CORE_FEATURES = (visitors, web, storage, mail, search)
"""Features of every site. They have no tables, and a project does not list them."""
FEATURE_MODULES = (f"{PACKAGE}.", PREFIX, "opportune.contrib.")
"""Beginnings of the names of modules that belong to a feature."""


def all_features(installed: Iterable[Feature]) -> list[Feature]:
    """Return the core features and the installed ones, beginning with those that observe all others."""
    features = [*CORE_FEATURES, *(feature for feature in installed if feature not in CORE_FEATURES)]
    return sorted(features, key=lambda feature: not feature.site.is_outermost)


def installed_hooks(features: Iterable[Feature]) -> AbstractContextManager[None]:
    """Run no hooks of other features in this block, although their modules may be imported."""
    listed = {*chain.from_iterable(feature.hooks for feature in features)}
    return limited_hooks(lambda hook: hook in listed or not (hook.__module__ or "").startswith(FEATURE_MODULES))


@asynccontextmanager
async def running_process(services: Services) -> AsyncIterator[None]:
    """Use the site's language, listen to other processes, and enter the `process` contexts of the features.

    In development, code that blocks the event loop is logged.
    """
    current_language.set(services.settings.language)  # of jobs; each request has its own
    add_event_kinds(services.features)
    async with services.database.bus.listening(), AsyncExitStack() as stack:
        if services.settings.environment == "development":
            await stack.enter_async_context(monitor_loop())
        stack.enter_context(installed_hooks(services.features))
        for feature in services.features:
            if feature.process.context:
                await stack.enter_async_context(feature.process.context(services))
        yield
