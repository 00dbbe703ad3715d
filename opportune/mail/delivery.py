"""Delivery of e-mails: by a job that is queued in a transaction, or immediately."""

import asyncio
import logging
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.jobs import JobContext, PermanentFailure, RetryLater, defer, job
from opportune.mail import mailbox
from opportune.mail.addresses import InvalidEmailError, sender_address
from opportune.mail.factory import transport_for
from opportune.mail.message import EmailMessage
from opportune.mail.mime import mime_message
from opportune.mail.outage import SEND_EMAIL, report_outage
from opportune.mail.transport import DeliveryError, PermanentDeliveryError

MAX_ATTEMPTS = 35
"""Attempts within 25 hours. The first delay is 5 seconds and doubles up to one hour."""
MIN_OUTAGE_ATTEMPTS = 8
"""Attempt from which superusers are notified, after about ten minutes."""

logger = logging.getLogger("opportune.mail")


def enqueue_email(session: AsyncSession, email: EmailMessage, *, key: str = "") -> None:
    """Queue an e-mail in the transaction of a session.

    Args:
        session: A writing session. The e-mail is sent after its commit.
        email: The e-mail, such as from `render_email`.
        key: Unique key. Later e-mails with the same key are not sent.
    """
    defer(session, send_email_job(email.to_json()), key=key or email.message_id)


@job(SEND_EMAIL, attempts=MAX_ATTEMPTS, wait=5)
async def send_email_job(run: JobContext, email: dict[str, Any]) -> None:
    """Send a queued e-mail. A permanent refusal is not retried."""
    try:
        await send_email(run.settings, EmailMessage.from_json(email))
    except (InvalidEmailError, PermanentDeliveryError) as error:
        raise PermanentFailure(str(error)) from None
    except DeliveryError as error:
        if run.attempt >= MIN_OUTAGE_ATTEMPTS:
            await run.write(report_outage, str(error))  # takes effect once per e-mail
        if error.retry_after is None:
            raise
        raise RetryLater(str(error), error.retry_after) from None


async def send_email(settings: Settings, email: EmailMessage) -> None:
    """Send an e-mail immediately, without a job.

    Args:
        settings: The site's settings.
        email: The e-mail, such as from `render_email`.

    Raises:
        InvalidEmailError: The address is invalid.
        PermanentDeliveryError: The server refused the e-mail, and would refuse it again.
        DeliveryError: The e-mail could not be sent now.
        OperatorError: MAIL_URL or MAIL_FROM is invalid.
    """
    transport = transport_for(settings)
    message = mime_message(email, sender_address(settings))
    await transport.send(message)
    logger.info("%s went to %s", email.message_id, transport.name)
    if settings.environment == "development":
        await asyncio.to_thread(mailbox.store_message, message)
