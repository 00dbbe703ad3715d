"""E-mails as jobs store them and transports send them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime as format_header_date
from typing import Any, Self, TypedDict

from opportune.db.clock import utc_now
from opportune.errors.arguments import strict
from opportune.mail.addresses import InvalidEmailError, check_headers, parse_recipients, single_line
from opportune.mail.attachment import Attachment

MAX_ATTACHMENT_MB = 10
"""Size of the files of an e-mail, which is the lowest limit of the providers."""

Addresses = str | Sequence[str]
"""One address or several: `ada@example.org`, or with a name `Ada Lovelace <ada@example.org>`."""


class EmailOptions(TypedDict, total=False):
    """Options of an e-mail."""

    cc: Addresses
    """Recipients of a copy."""
    bcc: Addresses
    """Recipients of a copy whom the others do not see."""
    reply_to: Addresses
    """Addresses that get the replies, instead of MAIL_FROM."""
    attachments: Sequence[Attachment]
    """Files, together of at most 10 MB."""
    headers: Mapping[str, str]
    """Other headers, such as `List-Unsubscribe`."""


OPTIONS = EmailOptions.__optional_keys__


@strict
@dataclass(frozen=True)
class EmailMessage:
    """An e-mail with text and HTML."""

    to: Addresses
    subject: str
    text: str
    html: str
    """The text as HTML; may be empty."""
    message_id: str
    """Message-ID header. An e-mail that is sent again after a crash keeps it, so clients show one."""
    date: str = field(default_factory=lambda: format_header_date(utc_now()))
    """Date header."""
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = ()
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InvalidEmailError if the e-mail cannot be sent."""
        if not parse_recipients(self.to):
            raise InvalidEmailError("An e-mail needs a recipient.")  # not translated
        for addresses in (self.cc, self.bcc, self.reply_to):
            parse_recipients(addresses or ())
        single_line("subject", self.subject)
        check_headers(self.headers)
        if sum(len(file.content) for file in self.attachments) > MAX_ATTACHMENT_MB * 1024**2:
            raise InvalidEmailError(f"The files of an e-mail have at most {MAX_ATTACHMENT_MB} MB.")  # not translated

    @property
    def recipients(self) -> str:
        """The addresses of `to`, for messages."""
        return self.to if isinstance(self.to, str) else ", ".join(self.to)

    def to_json(self) -> dict[str, Any]:
        """Return the e-mail as JSON values for a job. Workers of the first version do not know the options."""
        values = {name: value for name, value in vars(self).items() if value or name not in OPTIONS}
        return values | ({"attachments": [file.to_json() for file in self.attachments]} if self.attachments else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return an e-mail from JSON values, also of an older version."""
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        attachments = tuple(Attachment.from_json(file) for file in lists.get("attachments", ()))
        return cls(**{**values, **lists, "attachments": attachments})
