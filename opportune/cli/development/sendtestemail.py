"""Send a test e-mail.

It is sent directly by MAIL_URL, without a job.
"""

import logging
from typing import Annotated

import typer

from opportune.cli.loop import open_event_loop
from opportune.cli.output import say
from opportune.config.settings import Settings, get_settings
from opportune.mail import EmailMessage, InvalidEmailError, render_email
from opportune.mail.delivery import send_email
from opportune.mail.factory import transport_for
from opportune.mail.transport import ConsoleTransport, FileTransport


def command(addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS", help="Recipients.")]) -> None:
    settings = get_settings()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # console: logs the e-mail
    try:
        emails = [render_email(settings, address, "mail/test", {}) for address in addresses]
    except InvalidEmailError as error:
        raise typer.BadParameter(str(error)) from None
    with open_event_loop() as loop:
        for email in emails:
            loop.run(_send(settings, email))


async def _send(settings: Settings, email: EmailMessage) -> None:
    await send_email(settings, email)
    transport = transport_for(settings)
    if isinstance(transport, ConsoleTransport | FileTransport):
        say(
            f"Wrote an e-mail to {email.recipients} into {transport.name}. "
            "To send e-mails, set MAIL_URL (oppman.py docs mail)."
        )
    else:
        say(f"Sent an e-mail to {email.recipients} by {transport.name}.")
