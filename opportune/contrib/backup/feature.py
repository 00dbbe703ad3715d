"""Feature of backups: commands, jobs, checks, buttons in the admin, and the light of the last backup."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.config.settings import Settings
from opportune.contrib.backup.encryption import can_decrypt
from opportune.contrib.backup.jobs import BackupState, make_backup, read_backup_state, rehearse_restore
from opportune.contrib.backup.marker import check_restore, interrupted_restore_logged
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.backup.store import SWITCHED_OFF, BackupStore
from opportune.errors import OperatorError
from opportune.feature import Admin, AdminPanel, Feature, Finding, HealthLight, Jobs, Monitoring, Process, SetupStep
from opportune.i18n import gettext as _
from opportune.jobs import JobDefinition, defer
from opportune.project.current import OPPMAN


async def _read_state(app: FastAPI) -> BackupState:
    async with app.state.database.reader(fresh=True) as session:
        return await read_backup_state(session, app.state.settings)


async def _panel_context(request: Request) -> Mapping[str, Any]:
    return {"backups": await _read_state(request.app)}


async def backup_lights(app: FastAPI) -> list[HealthLight]:
    backups = await _read_state(app)
    if not backups.is_scheduled:
        hint = _("oppman.py docs backups explains how to schedule them. Operations creates one now.")
        return [HealthLight("Backups", str(backups), "notice", hint=hint)]
    if backups.is_healthy:
        return [HealthLight("Backups", str(backups), "ok" if backups.backup.succeeded_at else "notice")]
    return [HealthLight("Backups", str(backups), "fault")]


async def back_up_now(session: AsyncSession, request: Request) -> str:
    return _queue_job(session, request, make_backup, _("A backup is queued."))


async def rehearse_now(session: AsyncSession, request: Request) -> str:
    if not can_decrypt(request.app.state.settings.of(BackupSettings)):
        raise OperatorError(
            "Backups are encrypted to BACKUP_RECIPIENT: rehearse the restore on a machine with the private key."
        )
    text = _("A restore rehearsal of the newest backup is queued.")
    return _queue_job(session, request, rehearse_restore, text)


def _queue_job(session: AsyncSession, request: Request, job: JobDefinition[[]], message: str) -> str:
    if not request.app.state.settings.of(BackupSettings).location:
        raise OperatorError(SWITCHED_OFF)
    defer(session, job())
    return message


OPERATIONS = {"back-up-now": back_up_now, "rehearse-restore": rehearse_now}


async def _has_schedule(app: FastAPI) -> bool:
    return app.state.settings.of(BackupSettings).location is not None


def check_storage(settings: Settings) -> Iterator[Finding]:
    """List the backups at BACKUP_URL, without writing there."""
    if settings.of(BackupSettings).location and not BackupStore(settings).list_own():
        yield Finding.warning(f"BACKUP_URL has no backup yet. Create one: {OPPMAN} backup")


backup = Feature(
    "backup",
    "Backups of database and uploads, and rehearsals of their restore.",
    settings=BackupSettings,
    commands={
        "backup": "opportune.contrib.backup.commands.backup",
        "restore": "opportune.contrib.backup.commands.restore",
    },
    admin=Admin(
        "opportune.contrib.backup.admin.views",
        actions=OPERATIONS,
        panels=(AdminPanel("operations", "backup/admin_operations.html", _panel_context),),
        setup_steps=(SetupStep("backup", "Schedule backups", _has_schedule, "/docs/backups"),),
    ),
    monitoring=Monitoring(
        status={"Jobs, mail and backups": backup_lights}, checks=(check_restore,), connection_checks=(check_storage,)
    ),
    jobs=Jobs((make_backup, rehearse_restore)),
    process=Process(context=interrupted_restore_logged),
)
