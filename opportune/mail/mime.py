"""MIME messages of e-mails."""

from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage as MIMEMessage
from email.policy import SMTP, SMTPUTF8, Policy
from typing import cast

from opportune.mail.addresses import parse_recipients, single_line
from opportune.mail.message import EmailMessage

# Long lines are wrapped, because servers refuse lines of more than 998 characters.
TRANSFER_ENCODING = "quoted-printable"
MAX_HEADER_LENGTH = 900
"""Characters of a header in one line, of at most 998."""


class UnfoldedHeader(UnstructuredHeader, BaseHeader):
    """A header that the library does not know, such as List-Unsubscribe. It stays in one line if possible.

    The library would encode an address that is longer than a line.
    """

    def fold(self, *, policy: Policy) -> str:
        is_one_line = self.isascii() and len(self) < MAX_HEADER_LENGTH
        return f"{self.name}: {self}{policy.linesep}" if is_one_line else super().fold(policy=policy)


def mime_message(email: EmailMessage, sender: Address) -> MIMEMessage:
    """Return the MIME message of an e-mail.

    Raises:
        InvalidEmailError: The address is invalid.
    """
    headers = {"To": email.to, "Cc": email.cc, "Bcc": email.bcc, "Reply-To": email.reply_to}
    addresses = {name: parse_recipients(texts) for name, texts in headers.items() if texts}
    is_ascii = all(address.addr_spec.isascii() for group in addresses.values() for address in group)
    policy = SMTP if is_ascii else SMTPUTF8
    message = MIMEMessage(policy=policy.clone(header_factory=HeaderRegistry(default_class=UnfoldedHeader)))
    message["From"] = sender
    for name, group in addresses.items():
        message[name] = group
    message["Subject"] = single_line("subject", email.subject)
    message["Date"] = email.date
    message["Message-ID"] = email.message_id
    message["Auto-Submitted"] = "auto-generated"  # suppresses automatic replies
    for name, value in email.headers.items():
        del message[name]  # of the headers above, `check_headers` accepts only Auto-Submitted
        message[name] = single_line(f"header {name}", value)
    message.set_content(email.text, cte=TRANSFER_ENCODING)
    if email.html:
        message.add_alternative(email.html, subtype="html", cte=TRANSFER_ENCODING)
    html = cast(MIMEMessage | None, message.get_body(("html",)))
    for file in email.attachments:
        file.add_to(message, html)
    return message
