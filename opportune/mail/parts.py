"""The parts of an e-mail for the APIs of providers."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage, Message
from mimetypes import guess_extension
from typing import cast

from opportune.mail.addresses import CONTROL_CHARACTERS, FIELD_HEADERS
from opportune.mail.attachment import CONTENT_ID, Attachment


@dataclass(frozen=True)
class MessageParts:
    """Parts of an e-mail."""

    sender: Address
    to: list[Address]
    cc: list[Address]
    bcc: list[Address]
    reply_to: list[Address]
    subject: str
    text: str
    html: str
    attachments: list[Attachment]
    headers: dict[str, str]
    """Other headers, such as List-Unsubscribe."""
    message_id: str
    message: EmailMessage = field(repr=False)

    @property
    def recipients(self) -> list[Address]:
        return [*self.to, *self.cc, *self.bcc]

    @property
    def raw(self) -> bytes:
        """The e-mail in MIME format without Bcc, for APIs that accept it."""
        copy = deepcopy(self.message)
        del copy["Bcc"]
        return copy.as_bytes()


def split_message(message: EmailMessage) -> MessageParts:
    """Split an e-mail into its parts."""
    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    return MessageParts(
        sender=next(iter(_addresses(message, "From")), Address()),
        to=_addresses(message, "To"),
        cc=_addresses(message, "Cc"),
        bcc=_addresses(message, "Bcc"),
        reply_to=_addresses(message, "Reply-To"),
        subject=message["Subject"] or "",
        text=_text(plain),
        html=_text(html),
        attachments=[_attachment(part) for part in _leaves(message) if part not in (plain, html)],
        headers={
            name: str(value)
            for name, value in message.items()
            if name.lower() not in FIELD_HEADERS and not name.lower().startswith("content-")
        },
        message_id=message["Message-ID"] or "",
        message=message,
    )


def _addresses(message: EmailMessage, header: str) -> list[Address]:
    return [address for value in message.get_all(header, []) for address in value.addresses]


def _text(body: Message | None) -> str:
    content = cast(EmailMessage, body).get_content() if body else ""
    return str(content).replace("\r\n", "\n")


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the parts that are not multipart. An attached e-mail is one part."""
    if message.get_content_maintype() != "multipart":
        yield message
        return
    for part in message.iter_parts():
        yield from _leaves(cast(EmailMessage, part))


def _attachment(part: EmailMessage) -> Attachment:
    content_type = part.get_content_type()
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):  # an attached e-mail
        content = part.get_content().as_bytes()
    filename = part.get_filename() or f"attachment{guess_extension(content_type) or ''}"
    content_id = str(part["Content-ID"] or "").strip("<> ")
    return Attachment(
        CONTROL_CHARACTERS.sub(" ", filename),
        content,
        content_type,
        content_id if CONTENT_ID.fullmatch(content_id) else "",
    )
