from opportune.data.backup.admin.operations import OPERATIONS, PANELS, backup_lights
from opportune.feature import Feature

backup = Feature(
    name="backup",
    summary="Backups of database and uploads.",
    admin="opportune.data.backup.admin.views",
    admin_operations=OPERATIONS,
    admin_panels=PANELS,
    status={"Jobs, mail and backups": backup_lights},
)
