"""Formats of values by type, and titles of rows, for lists and pages of rows."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

from markupsafe import Markup, escape
from sqlalchemy import Column
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.crud.declaration import Shape, shape_of
from opportune.crud.schema_fields import title_candidates
from opportune.db.models.choices import choice_label, choices_of
from opportune.db.models.columns import is_amount, type_of
from opportune.db.models.labels import name_method, title_of
from opportune.db.models.model import Model
from opportune.fields import File, Image, ImageColumn, TranslatedText
from opportune.fields.display import display, has_format
from opportune.i18n import current_language, find_language, gettext, pgettext
from opportune.i18n.formats import format_clock, localize_number
from opportune.schemas.annotations import options_of
from opportune.storage.public_folders import is_public
from opportune.web import format_date, format_datetime

Format = Callable[[Any], str]
"""Function that returns a value as text, or as HTML (`Markup`)."""

MIN_SEPARATED_NUMBER = 10_000
"""Smaller whole numbers have no thousands separators, because they may be years."""
IMAGE = Markup('<img src="{}" alt="" loading="lazy">')
FILE = Markup('<a href="{}">{}</a>')
CODE = Markup("<code>{}</code>")
YES = Markup('<span class="badge bg-green-lt">%s</span>')
NO = Markup('<span class="badge bg-secondary-lt">%s</span>')
OTHER_LANGUAGE = Markup('<span lang="{}" dir="{}">{}</span>')
LINES = Markup('<span class="lines">{}</span>')


def format_value(value: Any, formats: Mapping[type[Any], Format] | None = None) -> str:
    """Format a value by its type. None becomes an empty text by default."""
    formats = FORMATS if formats is None else formats
    if exact := formats.get(type(value)):
        return exact(value)
    for type_, format_ in formats.items():
        if isinstance(value, type_):
            return format_(value)
    return str(value)


def format_all(values: Sequence[Any], format_: Format) -> Sequence[str]:
    """Format the values of one column, faster than one by one.

    Texts without line breaks are returned as they are, and choices are formatted only once.
    """
    types = {*map(type, values)}
    if format_ is not format_value or len(types) != 1:
        return [*map(format_, values)]
    (type_,) = types
    if type_ is str and "\n" not in "".join(values):
        return values
    if issubclass(type_, bool | Enum):
        texts = {value: format_value(value) for value in {*values}}
        return [texts[value] for value in values]
    return [*map(FORMATS.get(type_, format_), values)]


def format_for(shape: Shape, name: str) -> Format:
    """Return the format for a field's annotations, by default the format for the type of each value."""
    field = shape.model.model_fields.get(name)
    column = shape.columns.get(name)
    if field is None:
        return format_value
    if not isinstance(next(iter(choices_of(shape.model, name)), None), Enum | None):
        return format_choice  # of a Literal
    if has_format(field):
        return lambda value: format_value(display(field, value))
    if suffix := options_of(field).suffix:
        return partial(_format_with_suffix, suffix)
    if column is None or not is_amount(column):
        return format_value
    digits = scale_of(column)
    return lambda value: format_quantity(with_scale(value, digits))


def _format_with_suffix(suffix: str, value: Any) -> str:
    return "" if value is None else f"{format_value(value)}\N{NO-BREAK SPACE}{gettext(suffix)}"


def format_file(file: File, file_url: str = "") -> str:
    """Return an image, or a link to a file. Private files need a `file_url`; without it the result is empty."""
    if not file or not (file_url or is_public(file)):
        return ""
    if not isinstance(file, Image):
        return FILE.format(file_url or file.url(), pgettext("file", "Open"))
    return IMAGE.format(file_url or file.url(thumbnail_rendition(file)))


def thumbnail_rendition(image: Image) -> str:
    """Return the name of the smallest rendition, or an empty text if the image has none."""
    renditions = image.column.renditions if isinstance(image.column, ImageColumn) else {}
    return min(renditions, key=lambda name: renditions[name], default="")


def name_of(row: Any) -> str:
    """Return the title of a row: its `__str__`, its first short text, or its id.

    The title of a user is the short name, because `__str__` may contain the e-mail address.
    """
    if isinstance(row, User):
        return row.get_short_name() or gettext("User %(id)s", id=row.id)
    column = "" if name_method(type(row)) else title_column(type(row))
    title: str = getattr(row, column) if column else ""
    return title or str(title_of(row))


async def names_of(session: AsyncSession, rows: Iterable[Any]) -> list[str]:
    """Return the titles of rows in a context where `__str__` may load related rows."""
    return await session.run_sync(lambda _: [name_of(row) for row in rows])


def title_column(model: type[Any]) -> str:
    """Return the first short text column that every user may see, or an empty text."""
    return next(title_candidates(shape_of(model)), "")


def format_number(value: float) -> str:
    """Format a number with thousands separators and at most two decimal places."""
    return localize_number(f"{value:,.2f}".rstrip("0").rstrip("."))


def format_quantity(value: Any, formats: Mapping[type[Any], Format] | None = None) -> str:
    """Format a value by its type. Large whole numbers have thousands separators."""
    if isinstance(value, int) and abs(value) >= MIN_SEPARATED_NUMBER:
        return localize_number(f"{value:,}")
    return format_value(value, formats)


def scale_of(column: Column[Any]) -> int:
    """Return the number of decimals of a column, 0 if it has no scale."""
    return getattr(type_of(column), "scale", None) or 0


def with_scale(value: Any, digits: int) -> Any:
    """Return a decimal with at least these digits, without the zeros that SQLite adds."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    decimals = f"{value:f}".partition(".")[2].rstrip("0")
    return Decimal(f"{value:.{max(digits, len(decimals))}f}")  # `quantize` refuses more than 28 digits


def format_list(values: Any) -> str:
    return Markup(", ").join(map(format_value, values))


def format_choice(value: Any) -> str:
    """Return the labels of a choice, or of a list of choices."""
    if value is None:
        return ""
    values = value if isinstance(value, list) else [value]
    return ", ".join(str(choice_label(item)) for item in values)


def format_text(value: str) -> str:
    return LINES.format(value) if "\n" in value else escape(value)


def yes_or_no(value: bool) -> str:
    return gettext("Yes") if value else gettext("No")


def format_translated(value: TranslatedText) -> str:
    """Format a text of several languages. A text in another language than the page's has the attribute `lang`."""
    text = format_text(str(value))
    language = find_language(value.language)
    if language is None or language.code == current_language.get():
        return text
    return OTHER_LANGUAGE.format(language.code, language.direction, text)


FORMATS: Mapping[type[Any], Format] = {
    type(None): lambda _: "",
    bool: lambda value: (YES if value else NO) % yes_or_no(value),
    Enum: lambda value: str(choice_label(value)),
    File: format_file,
    TranslatedText: format_translated,
    str: format_text,
    int: str,
    float: format_number,
    Decimal: lambda value: localize_number(f"{value:,}"),
    datetime: format_datetime,
    date: format_date,
    time: lambda value: str(value) if value.second else format_clock(value),
    list: format_list,
    dict: lambda value: CODE.format(json.dumps(value, ensure_ascii=False)),
    Model: name_of,
}
"""The first matching type is used, so subclasses come before their bases."""
