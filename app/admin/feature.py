from app.admin.models import AuditEntry
from app.admin.stored import delete_files
from app.core.feature import Feature

admin = Feature(
    name="admin", summary="The admin site and its log of changes.", models=(AuditEntry,), jobs=(delete_files,)
)
