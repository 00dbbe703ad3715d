"""MIME messages of e-mails."""

from email.headerregistry import Address
from email.message import EmailMessage as MIMEMessage
from email.policy import SMTP, SMTPUTF8

from opportune.mail.email import EmailMessage, parse_recipient

# Long lines are wrapped, because servers refuse lines of more than 998 characters.
TRANSFER_ENCODING = "quoted-printable"


def mime_message(email: EmailMessage, sender: Address) -> MIMEMessage:
    """Return the MIME message of an e-mail.

    Raises:
        InvalidEmailError: The address is invalid.
    """
    to = parse_recipient(email.to)
    message = MIMEMessage(policy=SMTP if to.addr_spec.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = email.subject
    message["Date"] = email.date
    message["Message-ID"] = email.message_id
    message["Auto-Submitted"] = "auto-generated"  # suppresses automatic replies
    message.set_content(email.text, cte=TRANSFER_ENCODING)
    if email.html:
        message.add_alternative(email.html, subtype="html", cte=TRANSFER_ENCODING)
    return message
