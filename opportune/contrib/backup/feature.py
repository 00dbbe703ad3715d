from fastapi import FastAPI

from opportune.contrib.backup.admin.operations import OPERATIONS, PANELS, backup_lights
from opportune.contrib.backup.jobs import make_backup, rehearse_restore
from opportune.contrib.backup.marker import check_restore
from opportune.feature import Feature, SetupStep


async def _has_schedule(app: FastAPI) -> bool:
    return bool(app.state.settings.backup_url.get_secret_value().strip())


backup = Feature(
    name="backup",
    summary="Backups of database and uploads, and rehearsals of their restore.",
    admin="opportune.contrib.backup.admin.views",
    admin_operations=OPERATIONS,
    admin_panels=PANELS,
    status={"Jobs, mail and backups": backup_lights},
    jobs=(make_backup, rehearse_restore),
    checks=(check_restore,),
    setup_steps=(SetupStep("backup", "Schedule backups", _has_schedule, "/docs/backups"),),
)
