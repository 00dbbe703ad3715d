"""A letter as mail programs and servers read it."""

from email.headerregistry import Address
from email.message import EmailMessage as MIMEMessage
from email.policy import SMTP, SMTPUTF8

from opportune.mail.addresses import parse_recipient
from opportune.mail.email import EmailMessage

# Lines that no server has to break, whatever is in them.
TRANSFER_ENCODING = "quoted-printable"


def mime_message(letter: EmailMessage, sender: Address) -> MIMEMessage:
    """The letter with all its headers.

    Raises:
        InvalidEmailError: its address is none.
    """
    to = parse_recipient(letter.to)
    message = MIMEMessage(policy=SMTP if to.addr_spec.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = letter.subject
    message["Date"] = letter.date
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday answers it
    message.set_content(letter.text, cte=TRANSFER_ENCODING)
    if letter.html:
        message.add_alternative(letter.html, subtype="html", cte=TRANSFER_ENCODING)
    return message
