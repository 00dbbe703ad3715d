"""Formats of values by the annotations of their field."""

import json
from enum import Enum
from typing import Any

from markupsafe import Markup
from pydantic.fields import FieldInfo

from opportune.fields.files import File
from opportune.fields.money import currency_of
from opportune.schemas.annotations import options_of
from opportune.web.rendering.formats import format_money

LINKS = {
    "email": Markup('<a href="mailto:{0}">{0}</a>'),
    "tel": Markup('<a href="tel:{0}">{0}</a>'),
    "url": Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>'),
}


def has_format(info: FieldInfo) -> bool:
    """Return whether the annotations of a field set a format for its texts and numbers."""
    options = options_of(info)
    return bool(currency_of(info) or options.type in LINKS or options.choices)


def display(info: FieldInfo, value: Any) -> Any:
    """Format a value: an amount with its currency, a country by name, an e-mail address or URL as a link.

    Other values are returned unchanged.
    """
    if isinstance(value, Enum | File) or value is None or value == "":
        return value
    if currency := currency_of(info):
        return format_money(value, currency)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    options = options_of(info)
    if isinstance(value, str):
        link = LINKS.get(options.type)
        # Rows that were not written through a form may hold any text, also `javascript:` URLs.
        is_safe = options.type != "url" or value.startswith(("http://", "https://"))
        return link.format(value) if link and is_safe else options.choices.get(value, value)
    return value
