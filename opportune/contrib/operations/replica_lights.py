"""Lights of the replicas of the database, for the status page."""

from fastapi import FastAPI

from opportune.db.database import Database
from opportune.db.drivers.replica import Replica
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_number


async def replica_lights(app: FastAPI) -> list[HealthLight]:
    database: Database = app.state.database
    return [*map(_replica_light, database.replicas.members)]


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
