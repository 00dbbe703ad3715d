"""Mail providers with an API over HTTPS. MAIL_URL selects one."""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from email.charset import Charset
from email.headerregistry import Address
from email.utils import formataddr
from typing import Any

from opportune.db.clock import utc_now
from opportune.mail.attachment import Attachment
from opportune.mail.https import ApiResponse, HttpsTransport
from opportune.mail.mail_url import MailUrl
from opportune.mail.parts import MessageParts
from opportune.mail.transport import PermanentDeliveryError

MAILGUN_HOSTS = {"us": "api.mailgun.net", "eu": "api.eu.mailgun.net"}
POSTMARK_TEMPORARY_CODES = frozenset({100, 400, 401, 405, 412, 413, 429})
"""Error codes after which delivery is retried: maintenance, unconfirmed senders, suspended accounts, rate limits."""
SES_PATH = "/v2/email/outbound-emails"
SES_TEMPORARY_ERRORS = ("LimitExceeded", "SendingPaused", "AccountSuspended", "MailFromDomainNotVerified", "Throttling")


class Brevo(HttpsTransport):
    """Brevo: `MAIL_URL=brevo://KEY`."""

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
            "json": _without_empty(
                {
                    "sender": _brevo_address(mail.sender),
                    "to": [*map(_brevo_address, mail.to)],
                    "cc": [*map(_brevo_address, mail.cc)],
                    "bcc": [*map(_brevo_address, mail.bcc)],
                    "replyTo": _brevo_address(mail.reply_to[0]) if mail.reply_to else None,
                    "subject": mail.subject,
                    "textContent": mail.text,
                    "htmlContent": mail.html,
                    "headers": _without_empty({**mail.headers, "Idempotency-Key": mail.message_id}),
                    "attachment": [{"name": file.filename, "content": file.base64} for file in mail.attachments],
                }
            ),
        }


def _brevo_address(address: Address) -> dict[str, str]:
    name = address.display_name
    if not name.isascii() and any(char in name for char in '",;:<>@()[].\\'):  # Brevo drops such names
        name = _encode_name(name)
    return _without_empty({"email": address.addr_spec, "name": name})


class Mailgun(HttpsTransport):
    """Mailgun: `MAIL_URL=mailgun://KEY@mg.example.org`, with `?region=eu` for domains in Europe."""

    provider = "Mailgun"
    example = "mailgun://KEY@mg.example.org?region=eu"
    where = re.compile(r"[\w-]+(\.[\w-]+)+")
    options = frozenset({"region"})

    def __init__(self, url: MailUrl) -> None:
        super().__init__(url)
        if (region := url.options.get("region", "us")) not in MAILGUN_HOSTS:
            raise self.invalid_url_error()
        self.endpoint = f"https://{MAILGUN_HOSTS[region]}/v3/{url.where}/messages.mime"
        self.login = b64encode(f"api:{url.key}".encode()).decode()

    @property
    def secrets(self) -> list[str]:
        return [self.url.key, self.login]

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        return {
            "url": self.endpoint,
            "headers": {"Authorization": f"Basic {self.login}"},
            # The tracking service must not see links that sign users in.
            "data": {"to": [address.addr_spec for address in mail.recipients], "o:tracking": "no"},
            "files": {"message": ("message.eml", mail.raw, "message/rfc822")},
        }


class Postmark(HttpsTransport):
    """Postmark: `MAIL_URL=postmark://SERVER-TOKEN`."""

    provider = "Postmark"
    receipt = "MessageID"
    example = "postmark://SERVER-TOKEN"

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        return {
            "url": "https://api.postmarkapp.com/email",
            "headers": {"X-Postmark-Server-Token": self.url.key, "Accept": "application/json"},
            "json": _without_empty(
                {
                    "From": _encode_address(mail.sender),
                    "To": ", ".join(map(_encode_address, mail.to)),
                    "Cc": ", ".join(map(_encode_address, mail.cc)),
                    "Bcc": ", ".join(map(_encode_address, mail.bcc)),
                    "ReplyTo": ", ".join(map(_encode_address, mail.reply_to)),
                    "Subject": mail.subject,
                    "TextBody": mail.text,
                    "HtmlBody": mail.html,
                    "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
                    "Attachments": [*map(_postmark_attachment, mail.attachments)],
                    "TrackLinks": "None",  # the tracking service must not see links that sign users in
                }
            ),
        }

    def is_temporary(self, response: ApiResponse) -> bool:
        return super().is_temporary(response) or response.json.get("ErrorCode") in POSTMARK_TEMPORARY_CODES


def _postmark_attachment(file: Attachment) -> dict[str, Any]:
    return _without_empty(
        {
            "Name": file.filename,
            "Content": file.base64,
            "ContentType": file.content_type,
            "ContentID": f"cid:{file.content_id}" if file.content_id else "",
        }
    )


class Resend(HttpsTransport):
    """Resend: `MAIL_URL=resend://KEY`."""

    provider = "Resend"
    example = "resend://KEY"

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        # Resend accepts no quoted or encoded name of the sender, so special characters are removed.
        name = " ".join(re.sub(r'[",;:<>@()\[\]\\]', " ", mail.sender.display_name).split())
        return {
            "url": "https://api.resend.com/emails",
            "headers": _without_empty(
                {"Authorization": f"Bearer {self.url.key}", "Idempotency-Key": mail.message_id[:256]}
            ),
            "json": _without_empty(
                {
                    "from": f"{name} <{mail.sender.addr_spec}>" if name else mail.sender.addr_spec,
                    "to": [*map(_resend_recipient, mail.to)],
                    "cc": [*map(_resend_recipient, mail.cc)],
                    "bcc": [*map(_resend_recipient, mail.bcc)],
                    "reply_to": [*map(_resend_recipient, mail.reply_to)],
                    "subject": mail.subject,
                    "text": mail.text,
                    "html": mail.html,
                    "headers": mail.headers,
                    "attachments": [*map(_resend_attachment, mail.attachments)],
                }
            ),
        }


def _resend_recipient(address: Address) -> str:
    name = address.display_name
    if re.search(r"[^a-zA-Z0-9 '_-]", name):  # Resend accepts no quoted names
        name = _encode_name(name)
    return f"{name} <{address.addr_spec}>" if name else address.addr_spec


def _resend_attachment(file: Attachment) -> dict[str, Any]:
    return _without_empty(
        {
            "filename": file.filename,
            "content": file.base64,
            "content_type": file.content_type,
            "content_id": file.content_id,
        }
    )


class SES(HttpsTransport):
    """Amazon SES: `MAIL_URL=ses://ACCESS-KEY:SECRET@eu-west-1`."""

    provider = "Amazon SES"
    receipt = "MessageId"
    example = "ses://ACCESS-KEY:SECRET@eu-west-1"
    where = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")

    def __init__(self, url: MailUrl) -> None:
        super().__init__(url)
        self.access_key, _, self.secret = url.key.partition(":")
        if not self.secret:
            raise self.invalid_url_error()
        self.host = f"email.{url.where}.amazonaws.com"

    @property
    def secrets(self) -> list[str]:
        return [self.secret, self.access_key]

    def request(self, mail: MessageParts) -> Mapping[str, Any]:
        recipients = {"ToAddresses": mail.to, "CcAddresses": mail.cc, "BccAddresses": mail.bcc}
        encoded = {name: [*map(_encode_address, addresses)] for name, addresses in recipients.items()}
        content = {"Raw": {"Data": b64encode(mail.raw).decode()}}
        body = json.dumps({"Content": content, "Destination": _without_empty(encoded)}).encode()
        headers = self._signed_headers(body, utc_now())
        return {"url": f"https://{self.host}{SES_PATH}", "headers": headers, "content": body}

    def is_temporary(self, response: ApiResponse) -> bool:
        error_type = response.headers.get("x-amzn-errortype", "")
        return super().is_temporary(response) or error_type.startswith(SES_TEMPORARY_ERRORS)

    def _signed_headers(self, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of a POST request with Amazon's signature, version 4."""
        date, timestamp = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
        headers = {"content-type": "application/json", "host": self.host, "x-amz-date": timestamp}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical_request = f"POST\n{SES_PATH}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        request_hash = hashlib.sha256(canonical_request.encode()).hexdigest()
        scope = (date, self.url.where, "ses", "aws4_request")
        string_to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{'/'.join(scope)}\n{request_hash}"
        key = f"AWS4{self.secret}".encode()
        for part in scope:
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, string_to_sign.encode(), "sha256").hex()
        credential = f"{self.access_key}/{'/'.join(scope)}"
        authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "authorization": authorization}


def _encode_address(address: Address) -> str:
    """Encode an address with its name for a header: `=?utf-8?b?…?= <zoe@example.org>`."""
    return formataddr((address.display_name, address.addr_spec))


def _encode_name(text: str) -> str:
    """Encode a name for a header: `=?utf-8?b?…?=`."""
    return Charset("utf-8").header_encode(text)


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Remove empty fields, which APIs refuse."""
    return {name: value for name, value in fields.items() if value}
