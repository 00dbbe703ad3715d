"""E-mails and their rendering from templates."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import urljoin

from opportune.config.settings import Settings
from opportune.config.site_url import site_url
from opportune.db.models.model import utc_now
from opportune.i18n import use_language
from opportune.mail.addresses import parse_recipient, sender_address, single_line
from opportune.mail.templates import render
from opportune.web.language import localized_path
from opportune.web.time_zone import current_zone, site_zone


@dataclass(frozen=True)
class EmailMessage:
    """An e-mail with text and HTML."""

    to: str
    """`ada@example.org`, or with a name `Ada Lovelace <ada@example.org>`."""
    subject: str
    text: str
    html: str
    """The text as HTML; may be empty."""
    message_id: str
    """Message-ID header. An e-mail that is sent again after a crash keeps it, so clients show one."""
    date: str = field(default_factory=lambda: format_datetime(utc_now()))
    """Date header."""


def render_email(
    settings: Settings, to: str, template: str, context: Mapping[str, Any], *, language: str = ""
) -> EmailMessage:
    """Render an e-mail from `templates/<template>.txt`, and from `templates/<template>.html` if that exists.

    The text template begins with a line `Subject: …`. Both templates see the context, `subject`, `site_name`, and
    `absolute_url(path)`, which returns the URL of a path of the site.

    Args:
        settings: The site's settings.
        to: Address of the recipient, with or without a name.
        template: Path of the templates below `templates/`, without suffix.
        context: Template variables.
        language: Language of the recipient, such as `user.language`. If empty, the e-mail is in the current language.

    Raises:
        InvalidEmailError: The address is invalid, or address or subject contain a line break.
    """
    parse_recipient(to)
    site_variables = {"absolute_url": partial(_absolute_url, settings), "site_name": settings.site_name}
    variables = {**site_variables, **context}
    zone = current_zone.set(site_zone(settings))  # the recipient may be in another zone than the user of the request
    try:
        with use_language(language):
            variables["subject"] = subject = single_line("subject", render(f"{template}.subject", variables))
            text, html = render(f"{template}.txt", variables), render(f"{template}.html", variables, required=False)
    finally:
        current_zone.reset(zone)
    local_part = f"{time.time_ns():016x}{secrets.token_hex(8)}"  # sorts e-mails of the same second
    return EmailMessage(to, subject, text, html, message_id=f"<{local_part}@{sender_address(settings).domain}>")


def _absolute_url(settings: Settings, path: str) -> str:
    """Return the URL of a page of the site, in the language of the e-mail if addresses have a language."""
    return urljoin(site_url(settings), localized_path(settings, path))
