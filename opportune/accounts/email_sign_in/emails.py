"""The e-mail of a sign-in, sent by a job: the response does not tell whether the address has an account."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails.delivery import send_account_email
from opportune.accounts.emails.signed_links import LIFETIMES, make_link_token
from opportune.accounts.sign_in_methods.email_codes import make_code
from opportune.accounts.users.lookup import find_active_by_email
from opportune.config.settings import Settings
from opportune.db.models.model import utc_now
from opportune.jobs import JobContext, job

MINUTES = int(LIFETIMES["email-sign-in"].total_seconds() // 60)


@job("accounts.send_sign_in_email")
async def send_sign_in_email(
    run: JobContext,
    email: str,
    number: str,
    next: str,
    device: str,
    address: str,
) -> None:
    """Send link and code of a request, if the address has an active account."""
    details = {"number": number, "next": next, "device": device, "address": address, "at": utc_now().isoformat()}
    await run.write(_send, run.settings, email, details)


async def _send(session: AsyncSession, settings: Settings, email: str, details: dict[str, str]) -> None:
    if user := await find_active_by_email(session, email):
        token = make_link_token(settings, "email-sign-in", user, **details)
        code = make_code(settings, user, details["number"])
        client = {"device": details["device"], "address": details["address"]}
        send_account_email(session, settings, email, "sign_in", token=token, code=code, minutes=MINUTES, **client)
