"""The jobs that make backups and rehearse their restore, and what is known of how that went."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.project import installed_names
from opportune.config.settings import Settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.models.model import Model, utc_now
from opportune.errors import OperatorError
from opportune.jobs import JobContext, job
from opportune.jobs.last_runs import find_last_run
from opportune.jobs.models import LastRun
from opportune.jobs.schedule import next_run_time
from opportune.mail import InvalidEmailError, enqueue_email, render_email
from opportune.ops.backup.encryption import can_decrypt

BACKUP, REHEARSAL = "backups.make", "backups.rehearse"
MAX_ATTEMPTS = 5
"""Tries in a quarter of an hour: a bucket may be away for a while."""
OVERDUE_AFTER = timedelta(hours=1)

logger = logging.getLogger(__name__)


def _schedule(settings: Settings) -> str:
    return settings.backup_schedule if settings.backup_url.get_secret_value().strip() else ""


def _rehearsal_schedule(settings: Settings) -> str:
    return settings.backup_rehearsal_schedule if _schedule(settings) and can_decrypt(settings) else ""


@job(BACKUP, attempts=MAX_ATTEMPTS, wait=60, schedule=_schedule)
async def make_backup(run: JobContext) -> None:
    await _do(run, BACKUP, _send)


@job(REHEARSAL, attempts=MAX_ATTEMPTS, wait=60, schedule=_rehearsal_schedule)
async def rehearse_restore(run: JobContext) -> None:
    await _do(run, REHEARSAL, _rehearse)


def _send(settings: Settings, stop: threading.Event) -> str:
    # Alembic and the bucket's client take long to load, and once a day is soon enough.
    from opportune.ops.backup.scheduled import send_backup  # noqa: PLC0415 - loads Alembic and psycopg

    return str(send_backup(settings, MigrationGraph(installed_names()), logger.warning, stop))


def _rehearse(settings: Settings, _stop: threading.Event) -> str:
    from opportune.ops.backup.rehearsal import rehearse  # noqa: PLC0415 - as in _send

    return str(rehearse(settings, MigrationGraph(installed_names()), Model.metadata.tables.keys()))


async def _do(run: JobContext, name: str, act: Callable[[Settings, threading.Event], str]) -> None:
    if not _schedule(run.settings):  # it was, when this was planned
        return
    stop = threading.Event()
    try:
        said = await asyncio.to_thread(act, run.settings, stop)
    except OperatorError as error:
        if run.attempt >= MAX_ATTEMPTS:
            await run.write(report, run.settings, name, str(error))
        raise
    except asyncio.CancelledError:
        stop.set()
        raise
    logger.info("%s: %s", name, said)
    await run.progress(1, 1, said)


async def report(session: AsyncSession, settings: Settings, name: str, error: str) -> None:
    """Tell ADMIN_EMAIL that it goes wrong, once until it goes well again."""
    run = await find_last_run(session, name)
    if run.is_reported or not settings.admin_email:
        return
    subject = "Backups" if name == BACKUP else "Restoring a backup, as a rehearsal,"
    context = {"subject_words": subject, "error": error, "last": run.succeeded_at}
    try:
        enqueue_email(session, render_email(settings, settings.admin_email, "mail/backup_failed", context))
    except (InvalidEmailError, OperatorError) as refused:
        logger.warning("ADMIN_EMAIL is not told that backups fail. %s", refused)
        return
    run.reported_at = utc_now()
    session.add(run)


@dataclass(frozen=True)
class BackupState:
    """What is known here of the backups at BACKUP_URL. The bucket itself is not asked."""

    is_on: bool
    backup: LastRun
    rehearsal: LastRun
    is_overdue: bool
    """Whether the last backup that went well is older than the schedule has it."""

    @property
    def is_well(self) -> bool:
        return not (self.is_on and (self.backup.is_failing or self.rehearsal.is_failing or self.is_overdue))

    def __str__(self) -> str:
        if not self.is_on:
            return "No backup is made by itself: BACKUP_URL is empty."
        if self.backup.is_failing:
            return f"The last backup failed: {self.backup.error}"
        if self.is_overdue:
            return "No backup was made when one was due: does anything do jobs (JOBS)?"
        if self.rehearsal.is_failing:
            return f"The newest backup could not be restored: {self.rehearsal.error}"
        return f"Backed up: {self.backup.note}." if self.backup.succeeded_at else "The first backup is to come."


async def backup_state(session: AsyncSession, settings: Settings) -> BackupState:
    """How backups are going, for whoever looks after the site. One query each for two rows, and no network."""
    backup, rehearsal = await find_last_run(session, BACKUP), await find_last_run(session, REHEARSAL)
    return BackupState(bool(_schedule(settings)), backup, rehearsal, _is_overdue(settings, backup))


def _is_overdue(settings: Settings, backup: LastRun) -> bool:
    schedule = _schedule(settings)
    if not schedule or backup.succeeded_at is None:
        return False
    try:
        return next_run_time(schedule, backup.succeeded_at) + OVERDUE_AFTER < utc_now()
    except OperatorError:  # `check` tells of it
        return True
