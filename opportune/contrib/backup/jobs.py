"""Jobs that create backups and rehearse their restore, and the state of their last runs."""

import asyncio
import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.contrib.backup.encryption import can_decrypt
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.run_reports import report_runs
from opportune.db.clock import utc_now
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.i18n import gettext as _
from opportune.jobs import JobContext, PermanentFailure, job
from opportune.jobs.models import LastRun
from opportune.jobs.schedules import find_last_run, next_run_time
from opportune.project.installed import installed_names

BACKUP = "backups.make"
REHEARSAL = "backups.rehearse"
TITLES = {BACKUP: "Backup", REHEARSAL: "Restore rehearsal"}
"""Names of the jobs in e-mails."""
MAX_ATTEMPTS = 5
"""Attempts within about 15 minutes, because a bucket can be unavailable for a while."""
OVERDUE_AFTER = timedelta(hours=1)
"""Time after which a backup that has not run is reported."""

logger = logging.getLogger(__name__)


def _backup_schedule(settings: Settings) -> str:
    backups = settings.of(BackupSettings)
    return backups.backup_schedule if backups.location else ""


def _rehearsal_schedule(settings: Settings) -> str:
    backups = settings.of(BackupSettings)
    return backups.backup_rehearsal_schedule if _backup_schedule(settings) and can_decrypt(backups) else ""


async def _report(name: str, run: JobContext, error: Exception) -> None:
    """E-mail ADMIN_EMAIL that a job has failed. Of unexpected errors, only the type is sent."""
    reason = str(error) if isinstance(error, OperatorError | PermanentFailure) else type(error).__name__
    await run.write(email_failure, run.settings, name, reason)


@job(BACKUP, attempts=MAX_ATTEMPTS, wait=60, schedule=_backup_schedule, on_failure=partial(_report, BACKUP))
async def make_backup(run: JobContext) -> None:
    await _run_in_thread(BACKUP, run)


@job(REHEARSAL, attempts=MAX_ATTEMPTS, wait=60, schedule=_rehearsal_schedule, on_failure=partial(_report, REHEARSAL))
async def rehearse_restore(run: JobContext) -> None:
    await _run_in_thread(REHEARSAL, run)


def _run(name: str, settings: Settings, stop_event: threading.Event) -> str:
    """Do the work of a job, and return a description of the result. The event aborts a backup."""
    from opportune.contrib.backup import rehearsal, scheduled  # load Alembic and psycopg

    graph = MigrationGraph(installed_names())
    if name == BACKUP:
        return str(scheduled.send_backup(settings, graph, logger.warning, stop_event))
    return str(rehearsal.rehearse(settings, graph))


async def _run_in_thread(name: str, run: JobContext) -> None:
    if not _backup_schedule(run.settings):  # backups were switched off after the job was queued
        return
    stop_event = threading.Event()
    try:
        result = await asyncio.to_thread(_run, name, run.settings, stop_event)
    except asyncio.CancelledError:
        stop_event.set()
        raise
    logger.info("%s: %s", name, result)
    await run.progress(1, 1, result)


async def email_failure(session: AsyncSession, settings: Settings, name: str, error: str) -> None:
    """E-mail ADMIN_EMAIL about a failure, unless an e-mail was sent since the last success."""
    run = await find_last_run(session, name)
    if run.is_reported:
        return
    context = {"task": TITLES[name], "error": error, "last": run.succeeded_at}
    report_runs(session, settings, [run], "mail/backup_failed", context)


@dataclass(frozen=True)
class BackupState:
    """Last runs of the backup jobs, read from the database without a request to BACKUP_URL."""

    is_scheduled: bool
    backup: LastRun
    rehearsal: LastRun
    is_overdue: bool
    """The last successful backup is older than the schedule allows."""

    @property
    def is_healthy(self) -> bool:
        has_problem = self.backup.is_failing or self.rehearsal.is_failing or self.is_overdue
        return not (self.is_scheduled and has_problem)

    def __str__(self) -> str:
        if not self.is_scheduled:
            return _("No backups are scheduled: BACKUP_URL is empty.")
        if self.backup.is_failing:
            return _("The last backup failed: %(error)s", error=self.backup.error)
        if self.is_overdue:
            return _("The last scheduled backup did not run: check that a worker runs (JOBS).")
        if self.rehearsal.is_failing:
            return _("The newest backup could not be restored: %(error)s", error=self.rehearsal.error)
        if self.backup.succeeded_at:
            return _("Backed up: %(note)s.", note=self.backup.note)
        return _("No backup has been made yet.")


async def read_backup_state(session: AsyncSession, settings: Settings) -> BackupState:
    backup = await find_last_run(session, BACKUP)
    rehearsal = await find_last_run(session, REHEARSAL)
    schedule = _backup_schedule(settings)
    last_time = backup.succeeded_at
    is_overdue = bool(schedule and last_time and next_run_time(schedule, last_time) + OVERDUE_AFTER < utc_now())
    return BackupState(bool(schedule), backup, rehearsal, is_overdue)
