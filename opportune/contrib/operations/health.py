"""Lights of the parts that the site needs, for the status page and the dashboard.

This module is imported at the start of the site, so it imports no views of the admin.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from fastapi import FastAPI

from opportune.contrib.operations.job_lights import JOB_LIST_PATH, MAIL_HINT, late_hint, late_state
from opportune.contrib.operations.mail_outage import read_outage
from opportune.db.clock import utc_now
from opportune.db.drivers.replica import Replicas
from opportune.db.errors import DATABASE_ERRORS, explain, is_outage
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.migration_file import Migration
from opportune.errors import OperatorError
from opportune.feature import HealthLight
from opportune.i18n import current_language, ngettext
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_duration, format_number
from opportune.jobs import management
from opportune.jobs.models import JobState
from opportune.jobs.schedules import LATE_AFTER
from opportune.mail.factory import transport_for
from opportune.mail.transport import ConsoleTransport
from opportune.storage import Storage
from opportune.web.health import health_check_of
from opportune.web.time_zone import format_datetime

TTL_SECONDS = 60
"""Lifetime of cached values."""
STORAGE_TIMEOUT_SECONDS = 4
"""Maximum wait for a storage on another machine."""

JOB_MODES: dict[str, str] = {
    "worker": _l("They need a running worker."),
    "request": _l("They run after requests."),
    "off": _l("JOBS is off, so no job runs."),
}

T = TypeVar("T")


class Health:
    """Checks each part separately, so that a failure does not hide the results of other parts."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._files: TtlCache[HealthLight] = TtlCache()
        self._graph: TtlCache[MigrationGraph] = TtlCache()

    async def lights(self) -> list[HealthLight]:
        files_check = self._files.get(self._check_files, current_language.get())
        database_lights, files_light = await asyncio.gather(self._check_database(), files_check)
        return [*database_lights, files_light, self._check_mail()]

    async def _check_database(self) -> list[HealthLight]:
        failures = await health_check_of(self.app).failures()
        lights = [HealthLight("Database", _("is available"), "ok")]
        if "writer" in failures:
            lights = [HealthLight("Database", _("is not available"), "fault")]
        replicas: Replicas = self.app.state.database.replicas
        if replicas.members and ("reader" in failures or len(replicas.usable) < len(replicas.members)):
            lights.append(
                HealthLight("Replicas", _("some are not used. Others are read"), "fault", url="/admin/status")
            )
        elif replicas.members:
            lights.append(HealthLight("Replicas", _("all are available")))
        try:
            return [*lights, *await self._check_database_contents()]
        except OperatorError as error:  # a file in the folder is not a migration
            return [*lights, HealthLight("Migrations", str(error), "fault")]
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            return [*lights, HealthLight("Tables", explain(error, self.app.state.database.url), "fault")]

    async def _check_database_contents(self) -> list[HealthLight]:
        """Return the lights for migrations, jobs and waiting e-mails, which are read from the database."""
        graph = await self._graph.get(self._read_graph)
        async with self.app.state.database.reader(fresh=True) as session:
            rows = await (await session.connection()).run_sync(read_revisions)
            job_counts = await management.count_by_state(session)
            oldest = await management.find_oldest_due(session, self.app.state.jobs.jobs)
            outage = await read_outage(session)
        jobs_light = _jobs_light(job_counts, self.app.state.settings.jobs, oldest)
        lights = [_migrations_light(graph.pending(rows)), jobs_light]
        if outage:
            text = _("%(outage)s The first is from %(time)s.", outage=outage, time=format_datetime(outage.since))
            url = JOB_LIST_PATH.format(JobState.WAITING)
            lights.append(HealthLight("E-mails waiting", text, "fault", url=url, hint=MAIL_HINT))
        return lights

    async def _read_graph(self) -> MigrationGraph:
        return await asyncio.to_thread(MigrationGraph, [feature.name for feature in self.app.state.features])

    async def _check_files(self) -> HealthLight:
        storage: Storage = self.app.state.storage
        try:
            async with asyncio.timeout(STORAGE_TIMEOUT_SECONDS):
                fault = await storage.check() or storage.data_loss_warning
        except TimeoutError:
            fault = _("The file storage does not respond.")
        return HealthLight("Files", fault or _("can be saved"), "fault" if fault else "ok")

    def _check_mail(self) -> HealthLight:
        try:
            transport = transport_for(self.app.state.settings)
        except OperatorError as error:
            return HealthLight("Mail", str(error), "fault")
        if isinstance(transport, ConsoleTransport):
            return HealthLight("Mail", _("MAIL_URL is console:, so no e-mail is sent"), "notice")
        return HealthLight("Mail", _("is sent to %(server)s", server=transport.name))


def _migrations_light(pending: Sequence[Migration]) -> HealthLight:
    if not pending:
        return HealthLight("Migrations", _("all applied"))
    names = ", ".join(map(str, pending))
    text = ngettext("%(num)s to apply: %(names)s", "%(num)s to apply: %(names)s", len(pending), names=names)
    return HealthLight("Migrations", text, "fault", url="/admin/operations")


def _jobs_light(counts: Mapping[JobState, int], mode: str, oldest: datetime | None) -> HealthLight:
    delay = utc_now() - oldest if oldest else timedelta()
    is_late = delay > LATE_AFTER
    notes = [JOB_MODES[mode]] if mode in JOB_MODES else []
    if is_late:
        notes.append(_("The oldest is %(duration)s late.", duration=format_duration(delay.total_seconds())))
    waiting, failed = counts[JobState.WAITING], counts[JobState.FAILED]
    text = _("%(waiting)s planned, %(failed)s failed", waiting=format_number(waiting), failed=format_number(failed))
    if notes:
        text = f"{text}. {' '.join(notes)}"
    url = JOB_LIST_PATH.format(JobState.FAILED if failed and not is_late else JobState.WAITING)
    if is_late:
        return HealthLight("Jobs", text, late_state(mode), url=url, hint=late_hint(mode))
    return HealthLight("Jobs", text, "notice" if failed or mode == "off" else "ok", url=url)


class TtlCache(Generic[T]):
    """Values of this process by key, read again after `TTL_SECONDS`. The keys must be few, because values stay."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, T]] = {}

    async def get(self, read: Callable[[], Awaitable[T]], key: str = "") -> T:
        entry = self._entries.get(key)
        if entry is None or time.monotonic() - entry[0] > TTL_SECONDS:
            entry = self._entries[key] = time.monotonic(), await read()
        return entry[1]
