"""The parts of an e-mail, as APIs want them. Python's own knowledge of mail is loaded when there is one."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from email.charset import Charset
from email.headerregistry import Address
from email.utils import formataddr
from mimetypes import guess_extension
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from email.message import EmailMessage, Message

OWN_HEADERS = {"from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version"}
"""Headers with a place of their own in each API; those of the content (Content-…) are none of the message's."""


@dataclass(frozen=True)
class Attachment:
    """A file of an e-mail."""

    filename: str
    content_type: str
    content: str
    """In base64."""
    content_id: str
    """What HTML shows it by (`cid:…`); empty of what is only attached."""


@dataclass(frozen=True)
class MessageParts:
    """What an e-mail consists of."""

    sender: "Address"
    to: "list[Address]"
    cc: "list[Address]"
    bcc: "list[Address]"
    reply_to: "list[Address]"
    subject: str
    text: str
    html: str
    attachments: list[Attachment]
    headers: dict[str, str]
    """All others, such as List-Unsubscribe."""
    message_id: str
    message: "EmailMessage" = field(repr=False)

    @property
    def recipients(self) -> "list[Address]":
        return [*self.to, *self.cc, *self.bcc]

    @property
    def raw(self) -> bytes:
        """The whole e-mail, for APIs that take it as it is: without Bcc, which is the server's to know."""
        copy = deepcopy(self.message)
        del copy["Bcc"]
        return copy.as_bytes()


def parts_of(message: "EmailMessage") -> MessageParts:
    """Take an e-mail apart."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
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
            if name.lower() not in OWN_HEADERS and not name.lower().startswith("content-")
        },
        message_id=message["Message-ID"] or "",
        message=message,
    )


def encoded(address: "Address") -> str:
    """An address with its name as a header of an e-mail has it: `=?utf-8?b?…?= <zoe@example.org>`."""
    return formataddr((address.display_name, address.addr_spec))


def encoded_word(text: str) -> str:
    """A name in the letters that headers have: `=?utf-8?b?…?=`."""
    return Charset("utf-8").header_encode(text)


def filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have something in them: APIs refuse empty ones."""
    return {name: value for name, value in fields.items() if value}


def _addresses(message: "EmailMessage", header: str) -> "list[Address]":
    return [address for each in message.get_all(header, []) for address in each.addresses]


def _text(body: "Message | None") -> str:
    content = cast("EmailMessage", body).get_content() if body else ""
    return str(content).replace("\r\n", "\n")


def _leaves(message: "EmailMessage") -> "Iterator[EmailMessage]":
    """What is in it; an e-mail in it is one thing."""
    if message.get_content_maintype() != "multipart":
        yield message
        return
    for part in message.iter_parts():
        yield from _leaves(cast("EmailMessage", part))


def _attachment(part: "EmailMessage") -> Attachment:
    kind = part.get_content_type()
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):  # an e-mail
        content = part.get_content().as_bytes()
    return Attachment(
        filename=part.get_filename() or f"attachment{guess_extension(kind) or ''}",
        content_type=kind,
        content=b64encode(content).decode(),
        content_id=str(part["Content-ID"] or "").strip("<> "),
    )
