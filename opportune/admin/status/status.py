"""Puts together what is told of all parts. One that is away keeps none of the others from being told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opportune.admin.dashboard.health import Health
from opportune.admin.status.database import database_lights
from opportune.admin.status.light import HealthLight
from opportune.admin.status.models import model_lights
from opportune.admin.status.server import server_lights
from opportune.admin.status.work import job_lights
from opportune.db.errors import explain
from opportune.db.timeouts import run_with_timeout
from opportune.errors import OperatorError

GROUP_TIMEOUT_SECONDS = 6

Lights = Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]


@dataclass(frozen=True)
class StatusGroup:
    """Lights under one heading."""

    title: str
    lights: Sequence[HealthLight]


async def read_status(app: FastAPI) -> list[StatusGroup]:
    """How all parts are, looked up at the same time."""
    parts: dict[str, Lights] = {
        "Overview": lambda app: Health(app).signs(),
        "Server": server_lights,
        "Database": database_lights,
        "Jobs, mail and backups": job_lights,
        "Language models": model_lights,
    }
    found = await asyncio.gather(*(_lights_in_time(app, lights) for lights in parts.values()))
    return [StatusGroup(title, lights) for title, lights in zip(parts, found, strict=True) if lights]


def is_well(groups: Sequence[StatusGroup]) -> bool:
    return not any(light.state == "fault" for group in groups for light in group.lights)


async def _lights_in_time(app: FastAPI, lights: Lights) -> Sequence[HealthLight]:
    try:
        return await run_with_timeout(GROUP_TIMEOUT_SECONDS, _all(app, lights))
    except (DBAPIError, PoolTimeoutError) as error:
        return [HealthLight("Cannot be told", explain(error, app.state.database.url), "fault")]
    except OperatorError as error:
        return [HealthLight("Cannot be told", str(error), "fault")]
    except TimeoutError:
        return [HealthLight("Cannot be told", f"no answer within {GROUP_TIMEOUT_SECONDS} seconds", "fault")]


async def _all(app: FastAPI, lights: Lights) -> Sequence[HealthLight]:
    return await lights(app)
