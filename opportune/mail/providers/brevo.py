"""Brevo: `MAIL_URL=brevo://KEY`."""

from collections.abc import Mapping
from email.headerregistry import Address
from typing import Any

from opportune.mail.errors import PermanentDeliveryError
from opportune.mail.https import HttpsTransport
from opportune.mail.parts import MessageParts, encode_name, without_empty


class Brevo(HttpsTransport):
    provider = "Brevo"
    receipt = "messageId"
    example = "brevo://KEY"

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        if any(file.content_id for file in mail.attachments):
            raise PermanentDeliveryError(
                "Brevo does not accept inline pictures over HTTPS. Send by smtp://…@smtp-relay.brevo.com:2525."
            )
        return {
            "url": "https://api.brevo.com/v3/smtp/email",
            "headers": {"api-key": self.url.key, "Accept": "application/json"},
            "json": without_empty(
                {
                    "sender": _address(mail.sender),
                    "to": [*map(_address, mail.to)],
                    "cc": [*map(_address, mail.cc)],
                    "bcc": [*map(_address, mail.bcc)],
                    "replyTo": _address(mail.reply_to[0]) if mail.reply_to else None,
                    "subject": mail.subject,
                    "textContent": mail.text,
                    "htmlContent": mail.html,
                    "headers": without_empty({**mail.headers, "Idempotency-Key": mail.message_id}),
                    "attachment": [{"name": file.filename, "content": file.content} for file in mail.attachments],
                }
            ),
        }


def _address(address: Address) -> dict[str, str]:
    name = address.display_name
    if not name.isascii() and any(char in name for char in '",;:<>@()[].\\'):  # Brevo drops such names
        name = encode_name(name)
    return without_empty({"email": address.addr_spec, "name": name})
