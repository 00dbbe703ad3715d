"""Values of rows as people read them, by their kind."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from markupsafe import Markup, escape
from pydantic.fields import FieldInfo
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.crud.declaration import shape_of
from opportune.crud.schemas import short_texts
from opportune.db.columns import choice_label, title_of
from opportune.db.model import Model
from opportune.fields import File, Image, ImageColumn
from opportune.fields.display import LINKS, display
from opportune.fields.money import currency_of
from opportune.schemas.annotations import options_of
from opportune.storage.public_folders import is_public
from opportune.web import format_date, format_datetime

Format = Callable[[Any], str]
"""Text, or HTML that is safe as Markup."""

IMAGE = Markup('<img src="{}" alt="" loading="lazy">')
FILE = Markup('<a href="{}">Open</a>')
CODE = Markup("<code>{}</code>")
LINES = Markup('<span class="lines">{}</span>')


def format_value(value: Any) -> str:
    """A value by its own type. What is not there is nothing."""
    if known := FORMATS.get(type(value)):
        return known(value)
    return next((show for kind, show in FORMATS.items() if isinstance(value, kind)), str)(value)


def format_all(values: Sequence[Any], own: Format) -> Sequence[str]:
    """Values of one column; plain ones of one type all at once."""
    kinds = [*{*map(type, values)}] if own is format_value else []
    if kinds == [str] and "\n" not in "".join(values):
        return values
    return [*map(FORMATS.get(kinds[0], own) if len(kinds) == 1 else own, values)]


def format_for(field: FieldInfo | None) -> Format:
    """How the values of a field are shown: by what it says of itself, else by their type."""
    if field is None:
        return format_value
    options = options_of(field)
    if currency_of(field) or options.type in LINKS or options.choices:
        return lambda value: format_value(display(field, value))
    if options.suffix:
        return lambda value: "" if value is None else f"{format_value(value)} {options.suffix}"
    return format_value


def format_file(file: File, address: str = "") -> str:
    """A picture, or a link to a file; nothing where only its address for one person would open it."""
    if not file or not (address or is_public(file)):
        return ""
    if not isinstance(file, Image):
        return FILE.format(address or file.url())
    return IMAGE.format(address or file.url(thumbnail_rendition(file)))


def thumbnail_rendition(image: Image) -> str:
    renditions = image.column.renditions if isinstance(image.column, ImageColumn) else {}
    return min(renditions, key=lambda name: renditions[name], default="")


def name_of(row: Any) -> str:
    """What a row is called: as its class says it (`__str__`), else by its first words, else by its number.

    Users have their names, not what their class says: an e-mail address is for themselves and the admin.
    """
    if isinstance(row, User):
        return row.get_short_name() or f"User {row.id}"
    title, words = title_of(row), naming_column(type(row))
    is_plain = title == f"{type(row).__name__} {row.id}"
    return (is_plain and words and getattr(row, words)) or title


async def names_of(session: AsyncSession, rows: Iterable[Any]) -> list[str]:
    """What rows are called; what their classes look up for it may be read from the database."""
    return await session.run_sync(lambda _: [name_of(row) for row in rows])


def naming_column(model: type[Any]) -> str:
    """The first short text that everybody may know, by which people tell rows apart; empty where there is none."""
    return next(iter(short_texts(shape_of(model))), "")


def format_number(value: float) -> str:
    """With commas between thousands, and no more than two digits after the point."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def format_list(values: Any) -> str:
    return Markup(", ").join(map(format_value, values))


def format_text(value: str) -> str:
    return LINES.format(value) if "\n" in value else escape(value)


FORMATS: Mapping[type[Any], Format] = {
    type(None): lambda _: "",
    bool: lambda value: "Yes" if value else "No",
    Enum: choice_label,
    File: format_file,
    str: format_text,
    int: str,
    float: format_number,
    Decimal: lambda value: f"{value:,}",
    datetime: format_datetime,
    date: format_date,
    list: format_list,
    dict: lambda value: CODE.format(json.dumps(value, ensure_ascii=False)),
    Model: name_of,
}
"""A kind stands before those of which it is one: each value takes the first that it is."""
