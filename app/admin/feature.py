from app.admin.models import AuditEntry
from app.core.feature import Feature

admin = Feature(name="admin", summary="The admin site and its log of changes.", models=(AuditEntry,))
