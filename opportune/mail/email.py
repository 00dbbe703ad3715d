"""What a letter says."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any
from urllib.parse import urljoin

from opportune.db.model import utc_now
from opportune.mail.templates import render
from opportune.settings import Settings


@dataclass(frozen=True)
class EmailMessage:
    to: str
    """`ada@example.org`, or with a name: `Ada Lovelace <ada@example.org>`."""
    subject: str
    text: str
    html: str
    """The same for programs that show HTML, or nothing."""
    message_id: str
    """Fixed when it is written: a letter that is sent twice after a crash shows as one."""
    date: str = field(default_factory=lambda: format_datetime(utc_now()))
    """When it was written, as mail spells it."""


def render_email(settings: Settings, to: str, template: str, context: Mapping[str, Any]) -> EmailMessage:
    """Write a letter from `templates/<template>.txt`, whose first line is `Subject: …`, and `.html` where there is one.

    Templates see the context, `subject`, and `address(path)`, which makes an absolute address of the site.

    Raises:
        InvalidEmailError: the address is none, or it or the subject has more than one line.
    """
    # Python's own knowledge of mail takes a while to load, and most starts write no letter.
    from opportune.mail.addresses import parse_recipient, sender_address, single_line  # noqa: PLC0415 - as just said

    parse_recipient(to)
    given = {"address": lambda path: urljoin(site_url(settings), path), **context}
    given["subject"] = subject = single_line("subject", render(f"{template}.subject", given))
    text, html = render(f"{template}.txt", given), render(f"{template}.html", given, needed=False)
    number = f"{time.time_ns():016x}{secrets.token_hex(8)}"  # letters of one second stay in their order
    return EmailMessage(to, subject, text, html, message_id=f"<{number}@{sender_address(settings).domain}>")


def site_url(settings: Settings) -> str:
    """Where links lead. What a request calls the site does not count: strangers could have letters lead to theirs."""
    if settings.base_url:
        return settings.base_url
    named = [name for name in settings.allowed_hosts if "*" not in name]
    return f"https://{named[0]}" if settings.is_production and named else f"http://127.0.0.1:{settings.port}"
