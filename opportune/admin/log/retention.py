"""Daily deletion of old entries of the audit log."""

from datetime import timedelta

from sqlmodel import col

from opportune.admin.models import AuditEntry
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.jobs import JobContext, job


async def delete_old_entries(database: Database, settings: Settings) -> int:
    """Delete entries that are older than AUDIT_DAYS, and return their number."""
    if not settings.audit_days:
        return 0
    cutoff = utc_now() - timedelta(days=settings.audit_days)
    return await delete_in_batches(database, AuditEntry, col(AuditEntry.at) <= cutoff)


@job("admin.delete_old_entries", schedule="7 4 * * *")
async def delete_old_entries_daily(run: JobContext) -> None:
    await delete_old_entries(run.database, run.settings)
