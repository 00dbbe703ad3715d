"""Postmark: `MAIL_URL=postmark://SERVER-TOKEN`."""

from collections.abc import Mapping
from typing import Any

from opportune.mail.https import APIAnswer, HTTPSTransport
from opportune.mail.parts import Attachment, MessageParts, encoded, filled

WAITING_CODES = frozenset({100, 400, 401, 405, 412, 413, 429})
"""Maintenance, unconfirmed senders, accounts that may not send, and rate limits."""


class Postmark(HTTPSTransport):
    provider, receipt, example = "Postmark", "MessageID", "postmark://SERVER-TOKEN"

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        return {
            "url": "https://api.postmarkapp.com/email",
            "headers": {"X-Postmark-Server-Token": self.url.key, "Accept": "application/json"},
            "json": filled(
                {
                    "From": encoded(mail.sender),
                    "To": ", ".join(map(encoded, mail.to)),
                    "Cc": ", ".join(map(encoded, mail.cc)),
                    "Bcc": ", ".join(map(encoded, mail.bcc)),
                    "ReplyTo": ", ".join(map(encoded, mail.reply_to)),
                    "Subject": mail.subject,
                    "TextBody": mail.text,
                    "HtmlBody": mail.html,
                    "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
                    "Attachments": [*map(_attached, mail.attachments)],
                    "TrackLinks": "None",  # links sign users in
                }
            ),
        }

    def is_temporary(self, answer: APIAnswer) -> bool:
        return super().is_temporary(answer) or answer.json.get("ErrorCode") in WAITING_CODES


def _attached(file: Attachment) -> dict[str, Any]:
    return filled(
        {
            "Name": file.filename,
            "Content": file.content,
            "ContentType": file.content_type,
            "ContentID": f"cid:{file.content_id}" if file.content_id else "",
        }
    )
