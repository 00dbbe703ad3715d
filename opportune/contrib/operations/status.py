"""Lights of all parts of the site, for the status page and for monitors.

If one part fails or is slow, the page still shows the others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from fastapi import FastAPI

from opportune.contrib.operations.health import Health
from opportune.contrib.operations.job_lights import job_lights
from opportune.db.drivers.replica import Replica
from opportune.db.errors import DATABASE_ERRORS, explain
from opportune.errors import OperatorError
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import ngettext
from opportune.i18n.formats import format_number
from opportune.services.tasks import run_with_timeout

logger = logging.getLogger(__name__)

GROUP_TIMEOUT_SECONDS = 6
HEADINGS = (_l("Overview"), _l("Server"), _l("Database"), _l("Jobs, mail and backups"), _l("Language models"))
"""Order of the headings on the page. Further headings of features follow."""

ReadLights = Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]


class StatusGroup(NamedTuple):
    """Lights under one heading."""

    title: str
    lights: Sequence[HealthLight]


async def read_status(app: FastAPI) -> list[StatusGroup]:
    """Read the lights of the admin and of features, with all headings at the same time."""
    sources: dict[str, list[ReadLights]] = {heading: [] for heading in HEADINGS} | {
        "Overview": [lambda app: Health(app).lights()],
        "Database": [replica_lights],
        "Jobs, mail and backups": [job_lights],
    }
    for feature in app.state.features:
        for heading, lights in feature.monitoring.status.items():
            sources.setdefault(heading, []).append(lights)
    groups = await asyncio.gather(*(_read_with_timeout(app, lights) for lights in sources.values()))
    return [StatusGroup(heading, lights) for heading, lights in zip(sources, groups, strict=True) if lights]


def worst_state(groups: Sequence[StatusGroup]) -> str:
    """Return "fault", "notice" or "ok"."""
    states = {light.state for group in groups for light in group.lights}
    return next((state for state in ("fault", "notice") if state in states), "ok")


async def _read_with_timeout(app: FastAPI, sources: Sequence[ReadLights]) -> Sequence[HealthLight]:
    try:
        return await run_with_timeout(GROUP_TIMEOUT_SECONDS, _read_all(app, sources))
    except DATABASE_ERRORS as error:
        return [HealthLight("Not available", explain(error, app.state.database.url), "fault")]
    except OperatorError as error:
        return [HealthLight("Not available", str(error), "fault")]
    except TimeoutError:
        text = ngettext(
            "could not be read within %(num)s second", "could not be read within %(num)s seconds", GROUP_TIMEOUT_SECONDS
        )
        return [HealthLight("These values", text, "fault")]
    except Exception as error:
        logger.exception("lights of the status page failed")
        return [HealthLight("Not available", _("Failed: %(error)s", error=type(error).__name__), "fault")]


async def _read_all(app: FastAPI, sources: Sequence[ReadLights]) -> list[HealthLight]:
    return [light for lights in sources for light in await lights(app)]


async def replica_lights(app: FastAPI) -> list[HealthLight]:
    return [*map(_replica_light, app.state.database.replicas.members)]


def _replica_light(replica: Replica) -> HealthLight:
    """Return the state of a replica as this process knows it."""
    name = _("Replica %(server)s", server=replica.url.server)
    if replica.problem:
        hint = _("Other servers are read until it can be used again. Check its server and network: oppman.py doctor")
        return HealthLight(name, _("is not used: %(problem)s", problem=replica.problem), "fault", hint=hint)
    if replica.lag_seconds is None:
        return HealthLight(name, _("is used. Its lag is not known yet"))
    seconds = format_number(replica.lag_seconds, 1)
    return HealthLight(name, _("is used, at most %(seconds)s s behind", seconds=seconds))
