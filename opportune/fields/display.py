"""Formats of values by the annotations of their field."""

import json
from enum import Enum
from typing import Any

from markupsafe import Markup
from pydantic.fields import FieldInfo

from opportune.fields.contents import currency_of
from opportune.fields.files import File
from opportune.i18n import gettext_lazy
from opportune.schemas.annotations import FieldOptions, options_of
from opportune.web.rendering.environment import format_money, with_breaks

LINKS = {
    # Left to right also for an address with an Arabic name, whose parts would change places otherwise.
    "email": Markup('<a dir="ltr" href="mailto:{0}">{1}</a>'),
    "tel": Markup('<a dir="ltr" href="tel:{0}">{0}</a>'),
    "url": Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>'),
}


def has_format(info: FieldInfo) -> bool:
    """Return whether the annotations of a field set a format for its texts and numbers."""
    options = options_of(info)
    return bool(currency_of(info) or options.type in LINKS or options.choices)


def is_markdown(model: type[Any], name: str) -> bool:
    """Return whether a field holds Markdown, which pages of a row render."""
    info = getattr(model, "model_fields", {}).get(name)
    return info is not None and options_of(info).type == "markdown"


def display(info: FieldInfo, value: Any) -> Any:
    """Format a value: an amount with its currency, a country by name, an e-mail address or URL as a link.

    Lists become one line, and dictionaries become JSON. Other values are returned unchanged.
    """
    if isinstance(value, Enum | File) or value is None or value == "":
        return value
    if currency := currency_of(info):
        return format_money(value, currency)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return _display_text(options_of(info), value) if isinstance(value, str) else value


def _display_text(options: FieldOptions, text: str) -> str:
    link = LINKS.get(options.type)
    # Rows that were not written through a form may hold any text, also `javascript:` URLs.
    is_safe = options.type != "url" or text.startswith(("http://", "https://"))
    if link and is_safe:
        return link.format(text, with_breaks(text))
    return str(gettext_lazy(options.choices[text])) if text in options.choices else text
