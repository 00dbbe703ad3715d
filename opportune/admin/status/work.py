"""Lights of the status page for jobs, schedules and mail."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.models.model import utc_now
from opportune.feature import HealthLight
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import LATE_AFTER, Schedule, read_schedules, scheduled_names
from opportune.mail.delivery import send_email_job
from opportune.mail.outage import read_outage
from opportune.runtime.counts import lasted
from opportune.web.time_zone import format_datetime

HINTS = {
    "worker": "Does oppman.py worker run, and is it fast enough?",
    "request": "They wait for the next requests: have a cron service call the site's address for that (docs/jobs.md).",
    "off": "Nothing does jobs: set JOBS=inline, or JOBS=worker and run oppman.py worker.",
}
"""Advice about late jobs, by JOBS."""
SLOW = "The site does them itself, and is behind: the list of jobs has what runs; JOBS=worker has more hands."
MAIL_HINT = "Look at MAIL_URL; Operations sends a test e-mail and shows what the server says."
STATE = "/admin/job/list?state={}"


class Late(NamedTuple):
    """State and hint of lights for late jobs."""

    state: Literal["notice", "fault"]
    hint: str


async def job_lights(app: FastAPI) -> list[HealthLight]:
    now, settings, known = utc_now(), app.state.settings, app.state.jobs.jobs
    names = scheduled_names(known.values(), settings)
    late = Late("notice" if settings.jobs == "request" else "fault", HINTS.get(settings.jobs, SLOW))
    async with app.state.database.reader(fresh=True) as session:
        is_due = (col(Job.state) == JobState.WAITING) & (col(Job.due_at) <= now) & col(Job.name).in_(known)
        oldest = await session.scalar(select(func.min(col(Job.due_at))).where(is_due))
        schedules = await read_schedules(session, names)
        mail = await _mail(session)
    return [_oldest(oldest, now, late), *(_schedule(each, now, late) for each in schedules), *mail]


def _oldest(oldest: datetime | None, now: datetime, late: Late) -> HealthLight:
    if oldest is None:
        return HealthLight("Due jobs", "none waits")
    words = f"the oldest has waited for {lasted((now - oldest).total_seconds())}"
    address = STATE.format(JobState.WAITING)
    if now - oldest > LATE_AFTER:
        return HealthLight("Due jobs", words, late.state, address, late.hint)
    return HealthLight("Due jobs", words, address=address)


def _schedule(schedule: Schedule, now: datetime, late: Late) -> HealthLight:
    name, run = schedule.name, schedule.last
    words = f"well at {format_datetime(run.succeeded_at)}" if run.succeeded_at else "not yet"
    if schedule.is_late(now):
        words = f"{words}; late since {format_datetime(schedule.due_at)}"
        return HealthLight(name, words, late.state, STATE.format(JobState.WAITING), late.hint)
    if schedule.is_running or schedule.due_at:
        words += "; runs now" if schedule.is_running else f"; next at {format_datetime(schedule.due_at)}"
    else:
        return HealthLight(name, f"{words}; no next run is planned", "notice", hint=late.hint)
    if run.is_failing:
        return HealthLight(name, f"failed at {format_datetime(run.failed_at)}; {words}", "fault", hint=run.error)
    return HealthLight(name, words)


async def _mail(session: AsyncSession) -> list[HealthLight]:
    """Return the last e-mail that was sent, the last that failed, and the e-mails that wait for the mail server."""
    is_mail = col(Job.name) == send_email_job.name

    async def last(state: JobState) -> tuple[datetime | None, str]:
        newest = select(col(Job.ended_at), col(Job.error)).where(is_mail, col(Job.state) == state)
        row = (await session.execute(newest.order_by(col(Job.ended_at).desc()).limit(1))).first()
        return (row[0], row[1]) if row else (None, "")

    (sent, _), (failed, error) = await last(JobState.DONE), await last(JobState.FAILED)
    lights = [*_email_lights(sent, failed, error)]
    if outage := await read_outage(session):
        words = f"{outage} The first is of {format_datetime(outage.since)}."
        lights.append(HealthLight("E-mails waiting", words, "fault", STATE.format(JobState.WAITING), MAIL_HINT))
    return lights


def _email_lights(sent: datetime | None, failed: datetime | None, error: str) -> Iterator[HealthLight]:
    yield HealthLight("Last e-mail sent", format_datetime(sent) if sent else "none in the last days")
    if failed:
        words, address = f"{format_datetime(failed)}: {error}", STATE.format(JobState.FAILED)
        if sent is None or failed > sent:
            yield HealthLight("Last e-mail failed", words, "fault", address, MAIL_HINT)
        else:
            yield HealthLight("Last e-mail failed", words, address=address)
