"""Postmark: `MAIL_URL=postmark://SERVER-TOKEN`."""

from collections.abc import Mapping
from typing import Any

from opportune.mail.https import ApiResponse, HttpsTransport
from opportune.mail.parts import Attachment, MessageParts, encode_address, without_empty

TEMPORARY_CODES = frozenset({100, 400, 401, 405, 412, 413, 429})
"""Error codes after which delivery is retried: maintenance, unconfirmed senders, suspended accounts, rate limits."""


class Postmark(HttpsTransport):
    provider = "Postmark"
    receipt = "MessageID"
    example = "postmark://SERVER-TOKEN"

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        return {
            "url": "https://api.postmarkapp.com/email",
            "headers": {"X-Postmark-Server-Token": self.url.key, "Accept": "application/json"},
            "json": without_empty(
                {
                    "From": encode_address(mail.sender),
                    "To": ", ".join(map(encode_address, mail.to)),
                    "Cc": ", ".join(map(encode_address, mail.cc)),
                    "Bcc": ", ".join(map(encode_address, mail.bcc)),
                    "ReplyTo": ", ".join(map(encode_address, mail.reply_to)),
                    "Subject": mail.subject,
                    "TextBody": mail.text,
                    "HtmlBody": mail.html,
                    "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
                    "Attachments": [*map(_attachment_fields, mail.attachments)],
                    "TrackLinks": "None",  # the tracking service must not see links that sign users in
                }
            ),
        }

    def is_temporary(self, response: ApiResponse) -> bool:
        return super().is_temporary(response) or response.json.get("ErrorCode") in TEMPORARY_CODES


def _attachment_fields(file: Attachment) -> dict[str, Any]:
    return without_empty(
        {
            "Name": file.filename,
            "Content": file.content,
            "ContentType": file.content_type,
            "ContentID": f"cid:{file.content_id}" if file.content_id else "",
        }
    )
