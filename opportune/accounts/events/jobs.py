"""Events of wrong passwords, recorded by a job: the response time must not tell whether an account exists."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.events.service import record_wrong_password
from opportune.accounts.users.lookup import find_by_email
from opportune.jobs import JobContext, job
from opportune.web.client import Client


@job("accounts.note_wrong_password")
async def note_wrong_password(run: JobContext, email: str, address: str, user_agent: str) -> None:
    """Record the event if the address has an account."""
    await run.write(_note, email, Client(address, user_agent))


async def _note(session: AsyncSession, email: str, client: Client) -> None:
    if user := await find_by_email(session, email):
        await record_wrong_password(session, user, client)
