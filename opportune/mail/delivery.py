"""Sends e-mails: as jobs that are queued in the transaction of a change, or immediately."""

import asyncio
import logging
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.jobs import JobContext, PermanentFailure, RetryLater, defer, job
from opportune.mail import mailbox
from opportune.mail.addresses import sender_address
from opportune.mail.email import EmailMessage
from opportune.mail.errors import DeliveryError, InvalidEmailError, PermanentDeliveryError
from opportune.mail.factory import transport_for
from opportune.mail.mime import mime_message
from opportune.mail.outage import SEND_EMAIL, report_outage

MAX_ATTEMPTS = 35
"""Attempts in 25 hours: after 5 seconds, then twice as long each time, from the eleventh wait on after an hour."""
MIN_OUTAGE_ATTEMPTS = 8
"""Attempts in the first ten minutes. From this one on superusers are notified."""

logger = logging.getLogger("opportune.mail")


def enqueue_email(session: AsyncSession, email: EmailMessage, *, key: str = "") -> None:
    """Queue an e-mail, to be sent when this session commits. Of those with the same `key` the first one is sent."""
    defer(session, send_email_job(asdict(email)), key=key or email.message_id)


@job(SEND_EMAIL, attempts=MAX_ATTEMPTS, wait=5)
async def send_email_job(run: JobContext, email: dict[str, str]) -> None:
    """Send a queued e-mail. It is not tried again if the server refuses it for good."""
    try:
        await send_email(run.settings, EmailMessage(**email))
    except (InvalidEmailError, PermanentDeliveryError) as error:
        raise PermanentFailure(str(error)) from None
    except DeliveryError as error:
        if run.attempt >= MIN_OUTAGE_ATTEMPTS:
            await run.write(report_outage, str(error))  # takes effect once per e-mail
        if error.retry_after is None:
            raise
        raise RetryLater(str(error), error.retry_after) from None


async def send_email(settings: Settings, email: EmailMessage) -> None:
    """Send an e-mail at once, without a job.

    Raises:
        InvalidEmailError: its address is none.
        PermanentDeliveryError: it is not taken, and would not be the next time.
        DeliveryError: it could not be sent now.
        OperatorError: MAIL_URL or MAIL_FROM cannot be understood.
    """
    # Python's own knowledge of mail takes a while to load, and most starts send none.
    transport = transport_for(settings)
    message = mime_message(email, sender_address(settings))
    await transport.send(message)
    logger.info("%s went to %s", email.message_id, transport.name)
    if settings.environment == "development":
        await asyncio.to_thread(mailbox.store_message, message)
