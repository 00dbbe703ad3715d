"""E-mails, rendered from templates, in which HTML is escaped and plain text is not."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime as format_header_date
from functools import partial
from typing import Any
from urllib.parse import urljoin

from jinja2 import Environment, StrictUndefined, TemplateNotFound, select_autoescape

from opportune.config.settings import Settings, site_url
from opportune.db.models.model import utc_now
from opportune.i18n import use_language
from opportune.i18n.languages import get_language
from opportune.mail.addresses import InvalidEmailError, parse_recipient, sender_address, single_line
from opportune.web.language import localized_path
from opportune.web.rendering.environment import TemplateEnvironment, TemplateLoader, format_money
from opportune.web.static.files import assets
from opportune.web.time_zone import current_zone, format_date, format_datetime, local, site_zone

SUBJECT_PREFIX = "Subject: "
END_OF_TRANSLATION = re.compile(r"\bendtrans\s*%}")
"""End of a translated text. `+` keeps the line break after it."""


class EmailTemplateLoader(TemplateLoader):
    """Loader that splits `<name>.txt`: its first line is the template `<name>.subject`, the rest is `<name>.txt`.

    With two templates, no value in the subject can add lines to the text.
    """

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        name, _, suffix = template.rpartition(".")
        if suffix not in ("subject", "txt"):
            return super().get_source(environment, template)
        source, path, is_fresh = super().get_source(environment, f"{name}.txt")
        if source.startswith(SUBJECT_PREFIX):
            subject, _, text = source.removeprefix(SUBJECT_PREFIX).partition("\n")
            source = subject if suffix == "subject" else text.lstrip("\n")
            source = END_OF_TRANSLATION.sub("endtrans +%}", source)
        elif suffix == "subject":
            raise InvalidEmailError(f"templates/{name}.txt must begin with a line `{SUBJECT_PREFIX}…`.")
        return source, path, is_fresh


environment = TemplateEnvironment(
    loader=EmailTemplateLoader(),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
environment.globals["get_language"] = get_language
environment.globals["primary_colour"] = assets.primary_colour  # mail programs cannot load style sheets
environment.filters |= {"date": format_date, "datetime": format_datetime, "local": local, "money": format_money}


def render(name: str, context: Mapping[str, Any], *, required: bool = True) -> str:
    """Render a template. A missing template that is not required is rendered as an empty text."""
    try:
        template = environment.get_template(name)
    except TemplateNotFound:
        if required:
            raise
        return ""
    return template.render(context)


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
    date: str = field(default_factory=lambda: format_header_date(utc_now()))
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
    variables = {"absolute_url": partial(_absolute_url, settings), "site_name": settings.site_name, **context}
    zone = current_zone.set(site_zone(settings))  # the recipient may be in another zone than the user of the request
    try:
        with use_language(language):
            subject = single_line("subject", render(f"{template}.subject", variables))
            variables["subject"] = subject
            text = render(f"{template}.txt", variables)
            html = render(f"{template}.html", variables, required=False)
    finally:
        current_zone.reset(zone)
    return EmailMessage(to, subject, text, html, message_id=_new_message_id(sender_address(settings).domain))


def _new_message_id(domain: str) -> str:
    """Return a random id that begins with the time, by which the mailbox sorts e-mails of the same second."""
    return f"<{time.time_ns():016x}{secrets.token_hex(8)}@{domain}>"


def _absolute_url(settings: Settings, path: str) -> str:
    """Return the URL of a page of the site, in the language of the e-mail if addresses have a language."""
    return urljoin(site_url(settings), localized_path(settings, path))
