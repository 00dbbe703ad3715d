"""A letter as mail programs and servers read it."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from opportune.mail.addresses import recipient
from opportune.mail.email import Letter

# Lines that no server has to break, whatever is in them.
ENCODING = "quoted-printable"


def message_of(letter: Letter, sender: Address) -> EmailMessage:
    """The letter with all its headers.

    Raises:
        LetterError: its address is none.
    """
    to = recipient(letter.to)
    message = EmailMessage(policy=SMTP if to.addr_spec.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = letter.subject
    message["Date"] = letter.date
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday answers it
    message.set_content(letter.text, cte=ENCODING)
    if letter.html:
        message.add_alternative(letter.html, subtype="html", cte=ENCODING)
    return message
