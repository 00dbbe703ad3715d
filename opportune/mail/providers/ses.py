"""Amazon SES: `MAIL_URL=ses://ACCESS-KEY:SECRET@eu-west-1`."""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opportune.mail.https import ApiResponse, HttpsTransport
from opportune.mail.parts import MessageParts, encode_address, without_empty
from opportune.mail.url import MailUrl

PATH = "/v2/email/outbound-emails"
TEMPORARY_ERRORS = ("LimitExceeded", "SendingPaused", "AccountSuspended", "MailFromDomainNotVerified", "Throttling")


class SES(HttpsTransport):
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
        email = {
            "Content": {"Raw": {"Data": b64encode(mail.raw).decode()}},
            "Destination": without_empty(
                {name: [*map(encode_address, addresses)] for name, addresses in recipients.items()}
            ),
        }
        body = json.dumps(email).encode()
        return {
            "url": f"https://{self.host}{PATH}",
            "headers": self._signed_headers(body, datetime.now(UTC)),
            "content": body,
        }

    def is_temporary(self, response: ApiResponse) -> bool:
        error_type = response.headers.get("x-amzn-errortype", "")
        return super().is_temporary(response) or error_type.startswith(TEMPORARY_ERRORS)

    def _signed_headers(self, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of a POST request with Amazon's signature, version 4."""
        date, timestamp = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
        headers = {"content-type": "application/json", "host": self.host, "x-amz-date": timestamp}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical_request = f"POST\n{PATH}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
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
