"""The feature of the admin: its views, pages and checks."""

from opportune.admin.log.recording import RECORDING
from opportune.admin.models import AuditEntry
from opportune.admin.shipped_groups import shipped_group_statements
from opportune.db.migrations.post_migrate import post_migrate
from opportune.feature import Feature

post_migrate(shipped_group_statements)

admin = Feature(
    name="admin",
    summary="The admin site and its log of changes.",
    models=(AuditEntry,),
    hooks=RECORDING,
)
