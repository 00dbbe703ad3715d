"""Lights of all parts of the site, for the status page and for monitors. The dashboard shows a few of them.

If one part fails or is slow, the page still shows the others. This module is imported at the start of the site, so it
imports no views of the admin.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, NamedTuple, TypeVar

from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.replica import Replica, Replicas
from opportune.db.errors import explain, is_outage
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.migration_file import Migration
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.feature import HealthLight
from opportune.i18n import current_language, ngettext, pgettext
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_duration, format_number, format_size
from opportune.jobs import management
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import LATE_AFTER, Schedule, read_schedules, scheduled_names
from opportune.mail.delivery import send_email_job
from opportune.mail.factory import transport_for
from opportune.mail.outage import read_outage
from opportune.mail.transport import ConsoleTransport
from opportune.services.tasks import run_with_timeout
from opportune.storage import Storage
from opportune.web.health import health_check_of
from opportune.web.time_zone import format_datetime

HINTS = {
    "worker": _l("Check that oppman.py worker is running and fast enough."),
    "request": _l(
        "Jobs wait for the next request. Let a cron service call the address for jobs (oppman.py docs jobs)."
    ),
    "off": _l("No process runs jobs. Set JOBS=inline, or JOBS=worker and run oppman.py worker."),
}
"""Advice about late jobs, by the setting JOBS."""
SLOW_HINT = _l(
    "The web process runs jobs and is late. See the running jobs in the list, or use workers with JOBS=worker."
)
MAIL_HINT = _l("Check MAIL_URL. Operations can send a test e-mail and shows the server's response.")
JOB_LIST_PATH = "/admin/job/list?state={}"

SLOW_MILLISECONDS = 100
ROUND_TRIPS = 3
"""Number of measured queries. The fastest one is shown, because other requests may delay the rest."""

VERSION = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}

GROUP_TIMEOUT_SECONDS = 6
HEADINGS = (_l("Overview"), _l("Server"), _l("Database"), _l("Jobs, mail and backups"), _l("Language models"))
"""Order of the headings on the page. Further headings of features follow."""

TTL_SECONDS = 60
"""Lifetime of cached values."""
STORAGE_TIMEOUT_SECONDS = 4
"""Maximum wait for a storage on another machine."""

JOB_MODES: dict[str, str] = {
    "worker": _l("They need a running worker."),
    "request": _l("They run after requests."),
    "off": _l("JOBS is off, so no job runs."),
}

ReadLights = Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]

T = TypeVar("T")


@dataclass(frozen=True)
class StatusGroup:
    """Lights under one heading."""

    title: str
    lights: Sequence[HealthLight]


async def read_status(app: FastAPI) -> list[StatusGroup]:
    """Read the lights of the admin and of features, with all headings at the same time."""
    sources: dict[str, list[ReadLights]] = {heading: [] for heading in HEADINGS} | {
        "Overview": [lambda app: Health(app).lights()],
        "Database": [database_lights],
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
    except (DBAPIError, PoolTimeoutError) as error:
        return [HealthLight("Not available", explain(error, app.state.database.url), "fault")]
    except OperatorError as error:
        return [HealthLight("Not available", str(error), "fault")]
    except TimeoutError:
        text = ngettext(
            "could not be read within %(num)s second", "could not be read within %(num)s seconds", GROUP_TIMEOUT_SECONDS
        )
        return [HealthLight("These values", text, "fault")]


async def _read_all(app: FastAPI, sources: Sequence[ReadLights]) -> list[HealthLight]:
    return [light for lights in sources for light in await lights(app)]


class Health:
    """Checks each part separately, so that a failure does not hide the results of other parts."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._files: TtlCache[HealthLight] = TtlCache()
        self._graph: TtlCache[MigrationGraph] = TtlCache()

    async def lights(self) -> list[HealthLight]:
        files_check = self._files.get(current_language.get(), self._check_files)
        database_lights, files_light = await asyncio.gather(self._check_database(), files_check)
        return [*database_lights, files_light, self._check_mail()]

    async def _check_database(self) -> list[HealthLight]:
        failures = await health_check_of(self.app).failures()
        lights = [HealthLight("Database", _("is available"), "ok")]
        if "writer" in failures:
            lights = [HealthLight("Database", _("is not available"), "fault")]
        replicas: Replicas = self.app.state.database.replicas
        if replicas.members and ("reader" in failures or len(replicas.usable) < len(replicas.members)):
            lights.append(HealthLight("Replicas", _("some are not used. Others are read"), "fault", "/admin/status"))
        elif replicas.members:
            lights.append(HealthLight("Replicas", _("all are available")))
        try:
            return [*lights, *await self._check_database_contents()]
        except OperatorError as error:  # a file in the folder is not a migration
            return [*lights, HealthLight("Migrations", str(error), "fault")]
        except (DBAPIError, PoolTimeoutError) as error:
            if not is_outage(error):
                raise
            return [*lights, HealthLight("Tables", explain(error, self.app.state.database.url), "fault")]

    async def _check_database_contents(self) -> list[HealthLight]:
        """Return the lights for migrations, jobs and waiting e-mails, which are read from the database."""
        graph = await self._graph.get("graph", self._read_graph)
        async with self.app.state.database.reader(fresh=True) as session:
            rows = await (await session.connection()).run_sync(read_revisions)
            job_counts = await management.count_by_state(session)
            oldest = await management.find_oldest_due(session, self.app.state.jobs.jobs)
            outage = await read_outage(session)
        jobs_light = _jobs_light(job_counts, self.app.state.settings.jobs, oldest)
        lights = [_migrations_light(graph.pending(rows)), jobs_light]
        if outage:
            lights.append(HealthLight("E-mails waiting", str(outage), "fault", "/admin/status"))
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


def sends_mail(settings: Settings) -> bool:
    """Return whether e-mails leave the site. Without a server, a job that "sent" one has only printed it."""
    try:
        return not isinstance(transport_for(settings), ConsoleTransport)
    except OperatorError:
        return False


def _migrations_light(pending: Sequence[Migration]) -> HealthLight:
    if not pending:
        return HealthLight("Migrations", _("all applied"))
    names = ", ".join(map(str, pending))
    text = ngettext("%(num)s to apply: %(names)s", "%(num)s to apply: %(names)s", len(pending), names=names)
    return HealthLight("Migrations", text, "fault", "/admin/operations")


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
    url = f"/admin/job/list?state={JobState.FAILED if failed else JobState.WAITING}"
    if is_late:
        return HealthLight("Jobs", text, late_state(mode), url)
    return HealthLight("Jobs", text, "notice" if failed or mode == "off" else "ok", url)


def late_state(mode: str) -> Literal["notice", "fault"]:
    """Return the state of late jobs. With JOBS=request they may wait for the next request."""
    return "notice" if mode == "request" else "fault"


class TtlCache(Generic[T]):
    """Values of this process by key, read again after `TTL_SECONDS`. The keys must be few, because values stay."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[float, T]] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        entry = self._entries.get(key)
        if entry is None or time.monotonic() - entry[0] > TTL_SECONDS:
            entry = self._entries[key] = time.monotonic(), await read()
        return entry[1]


class LateLight(NamedTuple):
    """State and hint of the lights about late jobs."""

    state: Literal["notice", "fault"]
    hint: str


async def job_lights(app: FastAPI) -> list[HealthLight]:
    now, settings, jobs = utc_now(), app.state.settings, app.state.jobs.jobs
    names = scheduled_names(jobs.values(), settings)
    late = LateLight(late_state(settings.jobs), HINTS.get(settings.jobs, SLOW_HINT))
    async with app.state.database.reader(fresh=True) as session:
        oldest = await management.find_oldest_due(session, jobs)
        schedules = await read_schedules(session, names)
        mail = await _mail_lights(session, sends_mail=sends_mail(settings))
    return [_due_light(oldest, now, late), *(_schedule_light(schedule, now, late) for schedule in schedules), *mail]


def _due_light(oldest: datetime | None, now: datetime, late: LateLight) -> HealthLight:
    if oldest is None:
        return HealthLight("Due jobs", pgettext("jobs", "none"))
    text = _("the oldest has waited for %(duration)s", duration=format_duration((now - oldest).total_seconds()))
    url = JOB_LIST_PATH.format(JobState.WAITING)
    if now - oldest > LATE_AFTER:
        return HealthLight("Due jobs", text, late.state, url, late.hint)
    return HealthLight("Due jobs", text, url=url)


def _schedule_light(schedule: Schedule, now: datetime, late: LateLight) -> HealthLight:
    name, run = schedule.name, schedule.last_run
    text = _("Succeeded: %(time)s.", time=format_datetime(run.succeeded_at)) if run.succeeded_at else _("Not run yet.")
    due = format_datetime(schedule.due_at) if schedule.due_at else ""
    if schedule.is_late(now):
        lateness = _("Late since %(time)s.", time=due)
        url = JOB_LIST_PATH.format(JobState.WAITING)
        return HealthLight(name, f"{text} {lateness}", late.state, url, late.hint)
    if not (schedule.is_running or due):
        next_run = _("The next run is not scheduled.")
        return HealthLight(name, f"{text} {next_run}", "notice", hint=late.hint)
    next_run = _("Running now.") if schedule.is_running else _("Next run: %(time)s.", time=due)
    if run.is_failing:
        failure = _("Failed: %(time)s.", time=format_datetime(run.failed_at))
        return HealthLight(name, f"{failure} {text} {next_run}", "fault", hint=run.error)
    return HealthLight(name, f"{text} {next_run}")


async def _mail_lights(session: AsyncSession, *, sends_mail: bool) -> list[HealthLight]:
    """Return lights for the last e-mail that was sent or failed, and for e-mails that wait for the mail server."""
    is_mail = col(Job.name) == send_email_job.name

    async def find_last_ended(state: JobState) -> tuple[datetime | None, str]:
        newest = select(col(Job.ended_at), col(Job.error)).where(is_mail, col(Job.state) == state)
        row = (await session.execute(newest.order_by(col(Job.ended_at).desc()).limit(1))).first()
        return (row[0], row[1]) if row else (None, "")

    (sent, _error), (failed, error) = await find_last_ended(JobState.DONE), await find_last_ended(JobState.FAILED)
    lights = [*_email_lights(sent, failed, error, sends_mail=sends_mail)]
    if outage := await read_outage(session):
        text = _("%(outage)s The first is from %(time)s.", outage=outage, time=format_datetime(outage.since))
        lights.append(HealthLight("E-mails waiting", text, "fault", JOB_LIST_PATH.format(JobState.WAITING), MAIL_HINT))
    return lights


def _email_lights(
    sent: datetime | None, failed: datetime | None, error: str, *, sends_mail: bool
) -> Iterator[HealthLight]:
    if sends_mail:
        yield HealthLight("Last e-mail sent", format_datetime(sent) if sent else _("none in the last days"))
    if failed:
        text = _("%(time)s: %(error)s", time=format_datetime(failed), error=error)
        url = JOB_LIST_PATH.format(JobState.FAILED)
        if sent is None or failed > sent:
            yield HealthLight("Last e-mail failed", text, "fault", url, MAIL_HINT)
        else:
            yield HealthLight("Last e-mail failed", text, url=url)


async def database_lights(app: FastAPI) -> list[HealthLight]:
    database: Database = app.state.database
    async with database.reader(fresh=True) as session:
        dialect = session.get_bind().dialect.name
        version = str(await session.scalar(text(VERSION[dialect]))).split()[0]
        size = int(await session.scalar(text(SIZE[dialect])) or 0)
        latency_light = await _measure_latency(session)
    server = f"{'PostgreSQL' if dialect == 'postgresql' else 'SQLite'} {version}"
    lights = [HealthLight("Server", _("%(server)s, %(size)s", server=server, size=format_size(size))), latency_light]
    return [*lights, *map(replica_light, database.replicas.members)]


async def _measure_latency(session: AsyncSession) -> HealthLight:
    milliseconds = min([await _measure_round_trip(session) for _trip in range(ROUND_TRIPS)]) * 1000
    is_slow = milliseconds >= SLOW_MILLISECONDS
    text = _("%(number)s ms", number=format_number(milliseconds, 0 if is_slow else 1))
    if not is_slow:
        return HealthLight("Round trip", text)
    hint = _("Run site and database in the same region. Each page takes several round trips.")
    return HealthLight("Round trip", text, "notice", hint=hint)


async def _measure_round_trip(session: AsyncSession) -> float:
    start = time.perf_counter()
    await session.execute(text("SELECT 1"))
    return time.perf_counter() - start


def replica_light(replica: Replica) -> HealthLight:
    """Return the state of a replica as this process knows it."""
    name = _("Replica %(server)s", server=replica.url.server)
    if replica.problem:
        hint = _("Other servers are read until it can be used again. Check its server and network: oppman.py doctor")
        return HealthLight(name, _("is not used: %(problem)s", problem=replica.problem), "fault", hint=hint)
    if replica.lag_seconds is None:
        return HealthLight(name, _("is used. Its lag is not known yet"))
    seconds = format_number(replica.lag_seconds, 1)
    return HealthLight(name, _("is used, at most %(seconds)s s behind", seconds=seconds))
