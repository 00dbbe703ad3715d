"""Heartbeat: a job calls HEARTBEAT_URL while no other job is late, and reports late schedules by e-mail."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.contrib.run_reports import report_runs
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.db.clock import utc_now
from opportune.jobs import JobContext, defer, job
from opportune.jobs.execution import send_heartbeat
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedules import LATE_AFTER, SCHEDULE_KEY, find_last_run
from opportune.jobs.service import DatabaseJobQueue

DAILY = "23 3 * * *"
"""Schedule of the check for late jobs without HEARTBEAT_URL, at the time of the other daily jobs."""
MAX_REPORTED_JOBS = 100
RECHECK_AFTER = timedelta(minutes=2)

LateJob = tuple[str, str | None, datetime]
"""Name, key and due time of a job."""

logger = logging.getLogger(__name__)


def _schedule(settings: Settings) -> str:
    telemetry = settings.of(TelemetrySettings)
    return telemetry.heartbeat_schedule if telemetry.heartbeat_url.get_secret_value() else DAILY


@job("admin.watch_jobs", attempts=1, schedule=_schedule)
async def watch_jobs(run: JobContext) -> None:
    """Call HEARTBEAT_URL unless other jobs are late. If they are, check them again in two minutes."""
    runs_only_in_requests = run.settings.jobs == "request"  # late jobs are normal
    if not runs_only_in_requests and await _read_late_jobs(run):
        await run.write(_schedule_recheck)  # a site that just woke up will run them soon
    elif url := run.settings.of(TelemetrySettings).heartbeat_url.get_secret_value():
        await send_heartbeat(url)


@job("admin.report_late_jobs", attempts=3)
async def report_late_jobs(run: JobContext, since: str) -> None:
    """Log the jobs that are still late, and e-mail late schedules to ADMIN_EMAIL."""
    if utc_now() - datetime.fromisoformat(since) > 2 * RECHECK_AFTER:
        await run.write(_schedule_recheck)  # the site slept since the first check
    elif late := await _read_late_jobs(run):
        logger.error("Jobs are late, so no heartbeat is sent: %s", ", ".join(sorted({name for name, _, _ in late})))
        due_times: dict[str, datetime] = {}
        for name, key, due_at in late:  # longest waiting first
            if key and key.startswith(SCHEDULE_KEY):
                due_times.setdefault(name, due_at)
        await run.write(_email_late_schedules, run.settings, due_times)


async def _schedule_recheck(session: AsyncSession) -> None:
    since = utc_now()
    seconds = RECHECK_AFTER.total_seconds()
    period = int(since.timestamp() // seconds)  # processes that check in the same one queue one job
    defer(session, report_late_jobs(since.isoformat()), key=f"late {period}", delay=seconds)


async def _read_late_jobs(run: JobContext) -> Sequence[LateJob]:
    """Return the late jobs, longest waiting first."""
    queue = run.database.info.get("jobs")
    is_late = (col(Job.state) == JobState.WAITING) & (col(Job.due_at) < utc_now() - LATE_AFTER)
    query = select(col(Job.name), col(Job.key), col(Job.due_at)).where(is_late)
    if isinstance(queue, DatabaseJobQueue):
        query = query.where(col(Job.name).in_(sorted(queue.jobs)))
    async with run.database.reader(fresh=True) as session:
        return (await session.execute(query.order_by(col(Job.due_at)).limit(MAX_REPORTED_JOBS))).all()


async def _email_late_schedules(session: AsyncSession, settings: Settings, due_times: Mapping[str, datetime]) -> None:
    """E-mail ADMIN_EMAIL about schedules that are late for the first time since their last success."""
    last_runs = [await find_last_run(session, name) for name in due_times]
    unreported = [last_run for last_run in last_runs if not last_run.is_reported]
    context = {"late": [(last_run.name, due_times[last_run.name], last_run.succeeded_at) for last_run in unreported]}
    report_runs(session, settings, unreported, "mail/schedules_late", context)
