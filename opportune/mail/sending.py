"""From a letter to its delivery."""

import asyncio
import logging
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.jobs import GiveUp, Run, defer, job
from opportune.mail.email import Letter
from opportune.mail.errors import LetterError, RefusedError
from opportune.mail.transport import transport_for
from opportune.settings import Settings

logger = logging.getLogger("opportune.mail")


def post(session: AsyncSession, letter: Letter, *, key: str = "") -> None:
    """Have it sent when this session commits, and not at all when it does not. Of letters with one key, the first."""
    defer(session, send(asdict(letter)), key=key or letter.message_id)


@job("mail.send", attempts=10, wait=5)  # the last try comes after 42 minutes: servers that know nobody ask for patience
async def send(run: Run, letter: dict[str, str]) -> None:
    try:
        await deliver(run.settings, Letter(**letter))
    except (LetterError, RefusedError) as error:
        raise GiveUp(str(error)) from None


async def deliver(settings: Settings, letter: Letter) -> None:
    """Send it now.

    Raises:
        LetterError: its address is none.
        RefusedError: it is not taken, and would not be the next time.
        DeliveryError: it could not be sent now.
        OperatorError: MAIL_URL or MAIL_FROM cannot be understood.
    """
    # Python's own knowledge of mail takes a while to load, and most starts send none.
    from opportune.mail import mailbox  # noqa: PLC0415 - as just said
    from opportune.mail.addresses import sender  # noqa: PLC0415 - as above
    from opportune.mail.mime import message_of  # noqa: PLC0415 - as above

    transport = transport_for(settings)
    message = message_of(letter, sender(settings))
    await transport.send(message)
    logger.info("%s went to %s", letter.message_id, transport.name)
    if settings.environment == "development":
        await asyncio.to_thread(mailbox.keep, message)
