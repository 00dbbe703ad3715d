import opportune.admin.shipped_groups  # noqa: F401 - `migrate` makes these groups
from opportune.admin.heartbeat import report_late_jobs, watch_jobs
from opportune.admin.log.recording import RECORDING
from opportune.admin.models import AuditEntry
from opportune.feature import Feature

admin = Feature(
    name="admin",
    summary="The admin site and its log of changes.",
    models=(AuditEntry,),
    hooks=RECORDING,
    jobs=(watch_jobs, report_late_jobs),
)
