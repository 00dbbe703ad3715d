"""Delete expired invitations."""

from sqlmodel import col

from opportune.contrib.teams.models import TeamInvitation
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.jobs import JobContext, job


async def delete_expired(database: Database) -> int:
    """Delete expired invitations and return their number."""
    return await delete_in_batches(database, TeamInvitation, col(TeamInvitation.expires_at) <= utc_now())


@job("teams.delete_expired", schedule="27 3 * * *")
async def delete_expired_daily(run: JobContext) -> None:
    await delete_expired(run.database)
