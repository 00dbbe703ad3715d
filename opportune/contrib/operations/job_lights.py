"""Lights of jobs and e-mails, for the status page."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

from fastapi import FastAPI
from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.jobs.declaration import JobDefinition
from opportune.jobs.models import SCHEDULED, Job, JobState, LastRun
from opportune.jobs.schedules import LATE_AFTER
from opportune.mail.delivery import send_email_job
from opportune.mail.factory import transport_for
from opportune.mail.transport import ConsoleTransport
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


class Schedule(NamedTuple):
    """State of a scheduled job."""

    name: str
    last_run: LastRun
    due_at: datetime | None
    """None if no run is queued."""
    is_running: bool

    def is_late(self, now: datetime) -> bool:
        return not self.is_running and self.due_at is not None and now - self.due_at > LATE_AFTER


def scheduled_names(jobs: Iterable[JobDefinition[Any]], settings: Settings) -> list[str]:
    return [job.name for job in jobs if job.schedule_in(settings)]


async def read_schedules(session: AsyncSession, names: Iterable[str]) -> list[Schedule]:
    """Read the state of scheduled jobs by their names."""
    names = [*names]
    runs = select(col(Job.name), col(Job.state), func.min(col(Job.due_at))).group_by(col(Job.name), col(Job.state))
    rows = await session.execute(runs.where(col(Job.name).in_(names), literal_column(f"({SCHEDULED})")))
    due_times = {(name, JobState(state)): due_at for name, state, due_at in rows}
    stored_runs = await session.scalars(select(LastRun).where(col(LastRun.name).in_(names)))
    last_runs = {run.name: run for run in stored_runs}
    return [
        Schedule(
            name,
            last_runs.get(name, LastRun(name=name)),
            due_times.get((name, JobState.WAITING)),
            (name, JobState.RUNNING) in due_times,
        )
        for name in names
    ]


async def job_lights(app: FastAPI) -> list[HealthLight]:
    now = utc_now()
    names = scheduled_names(app.state.jobs.jobs.values(), app.state.settings)
    async with app.state.database.reader(fresh=True) as session:
        schedules = await read_schedules(session, names)
        mail = [light async for light in _mail_lights(session, app.state.settings)]
    return [*(_schedule_light(schedule, now, app.state.settings.jobs) for schedule in schedules), *mail]


def late_state(mode: str) -> Literal["notice", "fault"]:
    """Return the state of late jobs. With JOBS=request they may wait for the next request."""
    return "notice" if mode == "request" else "fault"


def late_hint(mode: str) -> str:
    """Return advice about late jobs."""
    return HINTS.get(mode, SLOW_HINT)


def _schedule_light(schedule: Schedule, now: datetime, mode: str) -> HealthLight:
    name, run = schedule.name, schedule.last_run
    text = _("Succeeded: %(time)s.", time=format_datetime(run.succeeded_at)) if run.succeeded_at else _("Not run yet.")
    due = format_datetime(schedule.due_at) if schedule.due_at else ""
    if schedule.is_late(now):
        lateness = _("Late since %(time)s.", time=due)
        url = JOB_LIST_PATH.format(JobState.WAITING)
        return HealthLight(name, f"{text} {lateness}", late_state(mode), url=url, hint=late_hint(mode))
    if not (schedule.is_running or due):
        next_run = _("The next run is not scheduled.")
        return HealthLight(name, f"{text} {next_run}", "notice", hint=late_hint(mode))
    next_run = _("Running now.") if schedule.is_running else _("Next run: %(time)s.", time=due)
    if run.is_failing:
        failure = _("Failed: %(time)s.", time=format_datetime(run.failed_at))
        return HealthLight(name, f"{failure} {text} {next_run}", "fault", hint=run.error)
    return HealthLight(name, f"{text} {next_run}")


async def _mail_lights(session: AsyncSession, settings: Settings) -> AsyncIterator[HealthLight]:
    """Yield lights for the last e-mail that was sent or failed."""
    is_mail = col(Job.name) == send_email_job.name

    async def find_last_ended(state: JobState) -> Any:
        newest = select(col(Job.ended_at), col(Job.error)).where(is_mail, col(Job.state) == state)
        return (await session.execute(newest.order_by(col(Job.ended_at).desc()).limit(1))).first()

    sent, failed = await find_last_ended(JobState.DONE), await find_last_ended(JobState.FAILED)
    if _sends_mail(settings):
        yield HealthLight("Last e-mail sent", format_datetime(sent.ended_at) if sent else _("none in the last days"))
    if failed:
        text = _("%(time)s: %(error)s", time=format_datetime(failed.ended_at), error=failed.error)
        url = JOB_LIST_PATH.format(JobState.FAILED)
        if sent is None or failed.ended_at > sent.ended_at:
            yield HealthLight("Last e-mail failed", text, "fault", url=url, hint=MAIL_HINT)
        else:
            yield HealthLight("Last e-mail failed", text, url=url)


def _sends_mail(settings: Settings) -> bool:
    """Return whether e-mails leave the site. Without a server, a job that "sent" one has only printed it."""
    try:
        return not isinstance(transport_for(settings), ConsoleTransport)
    except OperatorError:
        return False
