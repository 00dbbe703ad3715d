from collections.abc import Iterator

from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.contrib.backup.admin.operations import OPERATIONS, PANELS, backup_lights
from opportune.contrib.backup.jobs import make_backup, rehearse_restore
from opportune.contrib.backup.marker import check_restore, interrupted_restore_logged
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.backup.store import BackupStore
from opportune.feature import Admin, Feature, Finding, Jobs, Monitoring, Process, SetupStep
from opportune.project.current import OPPMAN


async def _has_schedule(app: FastAPI) -> bool:
    return app.state.settings.of(BackupSettings).location is not None


def check_storage(settings: Settings) -> Iterator[Finding]:
    """List the backups at BACKUP_URL, without writing there."""
    if settings.of(BackupSettings).location and not BackupStore(settings).all():
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
        panels=PANELS,
        setup_steps=(SetupStep("backup", "Schedule backups", _has_schedule, "/docs/backups"),),
    ),
    monitoring=Monitoring(
        status={"Jobs, mail and backups": backup_lights}, checks=(check_restore,), connection_checks=(check_storage,)
    ),
    jobs=Jobs((make_backup, rehearse_restore)),
    process=Process(context=interrupted_restore_logged),
)
