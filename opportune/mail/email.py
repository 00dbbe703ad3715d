"""E-mails, rendered from templates."""

import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Unpack
from urllib.parse import urljoin

from opportune.config.settings import Settings, site_url
from opportune.context import use_value
from opportune.i18n import use_language
from opportune.mail.addresses import sender_address, single_line
from opportune.mail.message import Addresses, EmailMessage, EmailOptions
from opportune.mail.templates import render
from opportune.web.language import localized_path
from opportune.web.time_zone import current_zone, site_zone


def render_email(
    settings: Settings,
    to: Addresses,
    template: str,
    context: Mapping[str, Any],
    *,
    language: str = "",
    **options: Unpack[EmailOptions],
) -> EmailMessage:
    """Render an e-mail from `templates/<template>.txt`, and from `templates/<template>.html` if that exists.

    The text template begins with a line `Subject: …`. Both templates see the context, `subject`, `site_name`, and
    `absolute_url(path)`, which returns the URL of a path of the site.

    Args:
        settings: The site's settings.
        to: Address of the recipient, with or without a name, or several.
        template: Path of the templates below `templates/`, without suffix.
        context: Template variables.
        language: Language of the recipient, such as `user.language`. If empty, the e-mail is in the current language.
        options: See `EmailOptions`.

    Raises:
        InvalidEmailError: An address or option is invalid, or an address or the subject contains a line break.
    """
    variables = {"absolute_url": partial(_absolute_url, settings), "site_name": settings.site_name, **context}
    # The recipient may be in another zone than the user of the request.
    with use_value(current_zone, site_zone(settings)), use_language(language):
        subject = single_line("subject", render(f"{template}.subject", variables))
        variables["subject"] = subject
        text = render(f"{template}.txt", variables)
        html = render(f"{template}.html", variables, required=False)
    # The id begins with the time, by which the mailbox sorts e-mails of the same second.
    message_id = f"<{time.time_ns():016x}{secrets.token_hex(8)}@{sender_address(settings).domain}>"
    return EmailMessage(to, subject, text, html, message_id, **options)


def _absolute_url(settings: Settings, path: str) -> str:
    """Return the URL of a page of the site, in the language of the e-mail if addresses have a language."""
    return urljoin(site_url(settings), localized_path(settings, path))
