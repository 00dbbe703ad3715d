"""Resend: `MAIL_URL=resend://KEY`."""

import re
from collections.abc import Mapping
from email.headerregistry import Address
from typing import Any

from opportune.mail.https import HttpsTransport
from opportune.mail.parts import Attachment, MessageParts, encode_name, without_empty


class Resend(HttpsTransport):
    provider = "Resend"
    example = "resend://KEY"

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        # Resend accepts no quoted or encoded name of the sender, so special characters are removed.
        name = " ".join(re.sub(r'[",;:<>@()\[\]\\]', " ", mail.sender.display_name).split())
        return {
            "url": "https://api.resend.com/emails",
            "headers": without_empty(
                {"Authorization": f"Bearer {self.url.key}", "Idempotency-Key": mail.message_id[:256]}
            ),
            "json": without_empty(
                {
                    "from": f"{name} <{mail.sender.addr_spec}>" if name else mail.sender.addr_spec,
                    "to": [*map(_recipient, mail.to)],
                    "cc": [*map(_recipient, mail.cc)],
                    "bcc": [*map(_recipient, mail.bcc)],
                    "reply_to": [*map(_recipient, mail.reply_to)],
                    "subject": mail.subject,
                    "text": mail.text,
                    "html": mail.html,
                    "headers": mail.headers,
                    "attachments": [*map(_attachment_fields, mail.attachments)],
                }
            ),
        }


def _recipient(address: Address) -> str:
    name = address.display_name
    if re.search(r"[^a-zA-Z0-9 '_-]", name):  # Resend accepts no quoted names
        name = encode_name(name)
    return f"{name} <{address.addr_spec}>" if name else address.addr_spec


def _attachment_fields(file: Attachment) -> dict[str, Any]:
    return without_empty(
        {
            "filename": file.filename,
            "content": file.content,
            "content_type": file.content_type,
            "content_id": file.content_id,
        }
    )
