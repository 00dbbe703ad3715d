"""E-mails, rendered from templates, in which HTML is escaped and plain text is not."""

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime as format_header_date
from functools import partial
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import urljoin

from jinja2 import Environment, StrictUndefined, TemplateNotFound, select_autoescape

from opportune.config.settings import Settings, site_url
from opportune.context import use_value
from opportune.db.clock import utc_now
from opportune.i18n import use_language
from opportune.i18n.languages import get_language
from opportune.mail.addresses import InvalidEmailError, check_headers, parse_recipients, sender_address, single_line
from opportune.mail.attachment import Attachment
from opportune.web.language import localized_path
from opportune.web.rendering.environment import TemplateEnvironment, TemplateLoader, format_money
from opportune.web.static.files import assets
from opportune.web.time_zone import current_zone, format_date, format_datetime, local, site_zone

SUBJECT_PREFIX = "Subject: "
MAX_ATTACHMENT_MB = 10
"""Size of the files of an e-mail, which is the lowest limit of the providers."""
END_OF_TRANSLATION = re.compile(r"\bendtrans\s*%}")
"""End of a translated text. `+` keeps the line break after it."""

Addresses = str | Sequence[str]
"""One address or several: `ada@example.org`, or with a name `Ada Lovelace <ada@example.org>`."""


class EmailOptions(TypedDict, total=False):
    """Options of an e-mail."""

    cc: Addresses
    """Recipients of a copy."""
    bcc: Addresses
    """Recipients of a copy whom the others do not see."""
    reply_to: Addresses
    """Addresses that get the replies, instead of MAIL_FROM."""
    attachments: Sequence[Attachment]
    """Files, together of at most 10 MB."""
    headers: Mapping[str, str]
    """Other headers, such as `List-Unsubscribe`."""


OPTIONS = EmailOptions.__optional_keys__


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

    to: Addresses
    subject: str
    text: str
    html: str
    """The text as HTML; may be empty."""
    message_id: str
    """Message-ID header. An e-mail that is sent again after a crash keeps it, so clients show one."""
    date: str = field(default_factory=lambda: format_header_date(utc_now()))
    """Date header."""
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = ()
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InvalidEmailError if the e-mail cannot be sent."""
        if not parse_recipients(self.to):
            raise InvalidEmailError("An e-mail needs a recipient.")  # not translated
        for addresses in (self.cc, self.bcc, self.reply_to):
            parse_recipients(addresses or ())
        single_line("subject", self.subject)
        check_headers(self.headers)
        if sum(len(file.content) for file in self.attachments) > MAX_ATTACHMENT_MB * 1024**2:
            raise InvalidEmailError(f"The files of an e-mail have at most {MAX_ATTACHMENT_MB} MB.")  # not translated

    @property
    def recipients(self) -> str:
        """The addresses of `to`, for messages."""
        return self.to if isinstance(self.to, str) else ", ".join(self.to)

    def to_json(self) -> dict[str, Any]:
        """Return the e-mail as JSON values for a job. Workers of the first version do not know the options."""
        values = {name: value for name, value in vars(self).items() if value or name not in OPTIONS}
        return values | ({"attachments": [file.to_json() for file in self.attachments]} if self.attachments else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return an e-mail from JSON values, also of an older version."""
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        attachments = tuple(Attachment.from_json(file) for file in lists.get("attachments", ()))
        return cls(**{**values, **lists, "attachments": attachments})


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
