from opportune.feature import Feature
from opportune.ops.backup.admin.operations import OPERATIONS, PANELS, backup_lights

backup = Feature(
    name="backup",
    summary="Backups of database and uploads.",
    admin="opportune.ops.backup.admin.views",
    admin_operations=OPERATIONS,
    admin_panels=PANELS,
    status={"Jobs, mail and backups": backup_lights},
)
