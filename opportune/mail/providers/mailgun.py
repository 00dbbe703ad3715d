"""Mailgun: `MAIL_URL=mailgun://KEY@mg.example.org`, with `?region=eu` for domains in Europe."""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from opportune.mail.https import HttpsTransport
from opportune.mail.parts import MessageParts
from opportune.mail.url import MailUrl

HOSTS = {"us": "api.mailgun.net", "eu": "api.eu.mailgun.net"}


class Mailgun(HttpsTransport):
    provider = "Mailgun"
    example = "mailgun://KEY@mg.example.org?region=eu"
    where = re.compile(r"[\w-]+(\.[\w-]+)+")
    options = frozenset({"region"})

    def __init__(self, url: MailUrl) -> None:
        super().__init__(url)
        if (region := url.options.get("region", "us")) not in HOSTS:
            raise self.invalid_url_error()
        self.endpoint = f"https://{HOSTS[region]}/v3/{url.where}/messages.mime"
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
