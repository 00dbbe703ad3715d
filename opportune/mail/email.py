"""E-mails and how templates become them."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any
from urllib.parse import urljoin

from opportune.config.settings import Settings
from opportune.config.site_url import site_url
from opportune.db.models.model import utc_now
from opportune.mail.addresses import parse_recipient, sender_address, single_line
from opportune.mail.templates import render
from opportune.web.time_zone import current_zone, site_zone


@dataclass(frozen=True)
class EmailMessage:
    """An e-mail of text and HTML, before it has headers."""

    to: str
    """`ada@example.org`, or with a name: `Ada Lovelace <ada@example.org>`."""
    subject: str
    text: str
    html: str
    """The same as HTML; empty where there is none."""
    message_id: str
    """Fixed when it is written: an e-mail that is sent twice after a crash shows as one."""
    date: str = field(default_factory=lambda: format_datetime(utc_now()))
    """When it was written, as the Date header spells it."""


def render_email(settings: Settings, to: str, template: str, context: Mapping[str, Any]) -> EmailMessage:
    """Render an e-mail from `templates/<template>.txt`, which begins with `Subject: …`, and `.html` where there is one.

    Templates see the context, `subject`, `site_name`, and `absolute_url(path)`, which makes a whole URL of one of the
    site's paths.

    Raises:
        InvalidEmailError: the address is none, or it or the subject has more than one line.
    """
    # Python's own knowledge of mail takes a while to load, and most starts write no e-mail.
    parse_recipient(to)
    own = {"absolute_url": lambda path: urljoin(site_url(settings), path), "site_name": settings.site_name}
    given = {**own, **context}
    zone = current_zone.set(site_zone(settings))  # who asks need not be who reads it
    try:
        given["subject"] = subject = single_line("subject", render(f"{template}.subject", given))
        text, html = render(f"{template}.txt", given), render(f"{template}.html", given, needed=False)
    finally:
        current_zone.reset(zone)
    number = f"{time.time_ns():016x}{secrets.token_hex(8)}"  # e-mails of one second stay in their order
    return EmailMessage(to, subject, text, html, message_id=f"<{number}@{sender_address(settings).domain}>")
