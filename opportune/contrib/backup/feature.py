from fastapi import FastAPI

from opportune.contrib.backup.admin.operations import OPERATIONS, PANELS, backup_lights
from opportune.contrib.backup.jobs import make_backup, rehearse_restore
from opportune.contrib.backup.marker import check_restore
from opportune.feature import Admin, Feature, Jobs, Monitoring, SetupStep


async def _has_schedule(app: FastAPI) -> bool:
    return bool(app.state.settings.backup_url.get_secret_value().strip())


backup = Feature(
    "backup",
    "Backups of database and uploads, and rehearsals of their restore.",
    admin=Admin(
        "opportune.contrib.backup.admin.views",
        actions=OPERATIONS,
        panels=PANELS,
        setup_steps=(SetupStep("backup", "Schedule backups", _has_schedule, "/docs/backups"),),
    ),
    monitoring=Monitoring(status={"Jobs, mail and backups": backup_lights}, checks=(check_restore,)),
    jobs=Jobs((make_backup, rehearse_restore)),
)
