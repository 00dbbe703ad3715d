"""Columns of a list: their values, their formats by type, and rendered cells."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from markupsafe import Markup, escape
from pydantic.fields import FieldInfo
from sqlalchemy import Boolean, Date, DateTime, Integer, Interval, Numeric, Time
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.crud.crud import Crud
from opportune.crud.declaration import Declaration, Shape, shape_of
from opportune.crud.schemas import title_candidates, writable_names
from opportune.crud.selection import read_linked
from opportune.db.models.columns import (
    choice_label,
    choices_of,
    is_long,
    label_of,
    label_of_field,
    name_method,
    title_of,
    type_of,
)
from opportune.db.models.model import Model
from opportune.db.models.soft_delete import is_trash_column
from opportune.fields import File, Image, ImageColumn, TranslatedText
from opportune.fields.display import LINKS, display, has_format
from opportune.fields.files import file_columns_of
from opportune.i18n import current_language, find_language, gettext, pgettext
from opportune.i18n.formats import localize_number
from opportune.pagination import Page, Paging
from opportune.schemas.annotations import options_of
from opportune.storage.public_folders import is_public
from opportune.web import format_date, format_datetime, url

Format = Callable[[Any], str]
"""Return a value as text, or as HTML (`Markup`)."""

IMAGE = Markup('<img src="{}" alt="" loading="lazy">')
FILE = Markup('<a href="{}">{}</a>')
CODE = Markup("<code>{}</code>")
OTHER_LANGUAGE = Markup('<span lang="{}" dir="{}">{}</span>')
LINES = Markup('<span class="lines">{}</span>')


def format_value(value: Any, formats: Mapping[type[Any], Format] | None = None) -> str:
    """Format a value by its type. None becomes an empty text by default."""
    formats = FORMATS if formats is None else formats
    if exact := formats.get(type(value)):
        return exact(value)
    return next((format_ for type_, format_ in formats.items() if isinstance(value, type_)), str)(value)


def format_all(values: Sequence[Any], format_: Format) -> Sequence[str]:
    """Format the values of one column. Texts without line breaks are returned as they are, and choices only once."""
    types = [*{*map(type, values)}] if format_ is format_value else []
    if types == [str] and "\n" not in "".join(values):
        return values
    if len(types) == 1 and issubclass(types[0], bool | Enum):
        texts = {value: format_value(value) for value in {*values}}
        return [texts[value] for value in values]
    return [*map(FORMATS.get(types[0], format_) if len(types) == 1 else format_, values)]


def format_for(field: FieldInfo | None) -> Format:
    """Return the format for a field's annotations, by default the format for the type of each value."""
    if field is None:
        return format_value
    if has_format(field):
        return lambda value: format_value(display(field, value))
    if suffix := options_of(field).suffix:
        return lambda value: "" if value is None else f"{format_value(value)} {gettext(suffix)}"
    return format_value


def format_file(file: File, file_url: str = "") -> str:
    """Return an image, or a link to a file. Private files need an `file_url`; without it the result is empty."""
    if not file or not (file_url or is_public(file)):
        return ""
    if not isinstance(file, Image):
        return FILE.format(file_url or file.url(), pgettext("file", "Open"))
    return IMAGE.format(file_url or file.url(thumbnail_rendition(file)))


def thumbnail_rendition(image: Image) -> str:
    renditions = image.column.renditions if isinstance(image.column, ImageColumn) else {}
    return min(renditions, key=lambda name: renditions[name], default="")


def name_of(row: Any) -> str:
    """Return the title of a row: its `__str__`, its first short text, or its id.

    The title of a user is the short name, because `__str__` may contain the e-mail address.
    """
    if isinstance(row, User):
        return row.get_short_name() or gettext("User %(id)s", id=row.id)
    column = "" if name_method(type(row)) else title_column(type(row))
    return (column and getattr(row, column)) or str(title_of(row))


async def names_of(session: AsyncSession, rows: Iterable[Any]) -> list[str]:
    """Return the titles of rows in a context where `__str__` may load related rows."""
    return await session.run_sync(lambda _: [name_of(row) for row in rows])


def title_column(model: type[Any]) -> str:
    """Return the first short text column that every user may see, or an empty text."""
    return next(iter(title_candidates(shape_of(model))), "")


def format_number(value: float) -> str:
    """Format a number with thousands separators and at most two decimal places."""
    return localize_number(f"{value:,.2f}".rstrip("0").rstrip("."))


def format_list(values: Any) -> str:
    return Markup(", ").join(map(format_value, values))


def format_text(value: str) -> str:
    return LINES.format(value) if "\n" in value else escape(value)


def format_translated(value: TranslatedText) -> str:
    """Format a text of several languages. A text in another language than the page's has the attribute `lang`."""
    text, language = format_text(str(value)), find_language(value.language)
    if language is None or language.code == current_language.get():
        return text
    return OTHER_LANGUAGE.format(language.code, language.direction, text)


FORMATS: Mapping[type[Any], Format] = {
    type(None): lambda _: "",
    bool: lambda value: gettext("Yes") if value else gettext("No"),
    Enum: lambda value: str(choice_label(value)),
    File: format_file,
    TranslatedText: format_translated,
    str: format_text,
    int: str,
    float: format_number,
    Decimal: lambda value: localize_number(f"{value:,}"),
    datetime: format_datetime,
    date: format_date,
    list: format_list,
    dict: lambda value: CODE.format(json.dumps(value, ensure_ascii=False)),
    Model: name_of,
}
"""The first matching type is used, so subclasses come before their bases."""


MAX_DEFAULT_COLUMNS = 6
ROW_LINK_CLASS = ' class="leads"'
NO_WRAP_CLASS = ' class="whole"'
NO_WRAP_TYPES = (Boolean, Date, DateTime, Integer, Interval, Numeric, Time)
"""Column types whose values are short and never wrap."""
SEPARATOR = "\0"
"""Joins texts, so that one call escapes all of them. Texts that contain it are escaped one by one."""
LONG_TYPES = ("markdown", "json", "lines")
"""Field types that lists leave out by default."""


@dataclass(frozen=True)
class ListColumn:
    """One column of a list."""

    name: str
    """The name of the column in the option `columns`."""
    path: str
    """A column, an annotation, or the path to a column of a related row."""
    label: str
    sort: str
    """The value of `?sort=`; empty if the column cannot be sorted."""
    format: Format
    links_to_row: bool = False
    """Whether its cells link to the page of the row."""
    no_wrap: bool = False
    """Whether its values never wrap, because they are short: dates, amounts, choices."""

    @property
    def opening(self) -> str:
        """The opening tag of a cell. On small screens, CSS shows the label in each cell instead of the table head."""
        css_class = NO_WRAP_CLASS if self.no_wrap else ""
        if self.links_to_row:
            css_class = ROW_LINK_CLASS
        return f'<td data-label="{escape(self.label)}"{css_class}>'


Cells = Callable[[Mapping[str, Any]], Markup]
UrlOf = Callable[[Mapping[str, Any]], str]


def render_rows(columns: Sequence[ListColumn], url_of: UrlOf, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Render all rows of a table. A template would take longer than the rest of the page."""
    row_format = "".join(f"{column.opening.replace('%', '%%')}%s</td>" for column in columns)
    cells = zip(*(_cell_texts(column, url_of, rows) for column in columns), strict=True)
    return Markup("".join([f"<tr>{row_format % row}</tr>\n" for row in cells]))  # noqa: S704 - cells are escaped


def make_cell_renderer(columns: Sequence[ListColumn], url_of: UrlOf) -> Cells:
    """Return the function that renders the cells of one row, for a template that replaces the block `row`."""

    def cells(row: Mapping[str, Any]) -> Markup:
        rendered = [f"{column.opening}{_cell_texts(column, url_of, [row])[0]}</td>" for column in columns]
        return Markup("".join(rendered))  # noqa: S704 - cells are escaped

    return cells


def _cell_texts(column: ListColumn, url_of: UrlOf, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return the escaped contents of a column's cells. An empty link to the row shows the row's id."""
    texts = escaped(format_all([row[column.path] for row in rows], column.format))
    if not column.links_to_row:
        return texts
    urls = escaped([url(url_of(row)) for row in rows])
    titles = [text or f"#{row['id']}" for text, row in zip(texts, rows, strict=True)]
    return [f'<a href="{row_url}">{title}</a>' for row_url, title in zip(urls, titles, strict=True)]


def escaped(texts: Sequence[str]) -> Sequence[str]:
    """Escape texts. Plain strings are escaped in one call."""
    if {*map(type, texts)} == {str}:
        parts = str(escape(SEPARATOR.join(texts))).split(SEPARATOR)
        if len(parts) == len(texts):
            return parts
    return [escape(text) for text in texts]


def list_columns(crud_class: type[Crud[Any]], names: Sequence[str], formats: Mapping[str, Format]) -> list[ListColumn]:
    """Return the named columns, by default the first short ones. The first column links to the row's page.

    Raises:
        OperatorError: A column does not exist.
    """
    shape = crud_class.definition.shape
    return _link_first(
        shape, [_column(crud_class, shape, name, formats) for name in names or default_columns(crud_class)]
    )


def visible_columns(crud: Crud[Any], columns: Sequence[ListColumn]) -> Sequence[ListColumn]:
    """Return the columns that the user may see. If all are hidden, return the id."""
    visible = [column for column in columns if not (crud.hides(column.name) or crud.hides(column.path))]
    if len(visible) == len(columns):
        return columns
    return _link_first(crud.definition.shape, visible) if visible else list_columns(type(crud), ("id",), {})


def _link_first(shape: Shape, columns: Sequence[ListColumn]) -> list[ListColumn]:
    """Let the first column without files or links link to the row's page."""
    first = next((column for column in columns if not _has_link(shape, column.path)), columns[0])
    return [replace(column, links_to_row=column is first) for column in columns]


def default_columns(crud_class: type[Crud[Any]]) -> list[str]:
    """Return the default columns of a list: short fields of the API's response, without ids."""
    shape = crud_class.definition.shape
    return [name for name in crud_class.definition.serializer.names if _is_short(crud_class, shape, name)][
        :MAX_DEFAULT_COLUMNS
    ] or ["id"]


def _is_short(crud_class: type[Crud[Any]], shape: Shape, name: str) -> bool:
    if name in crud_class.definition.annotations:
        return True
    if name in ("id", *crud_class.definition.owners) or is_trash_column(shape.model, name):
        return False
    if name not in shape.columns or is_long(shape.columns[name]):
        return False
    return options_of(shape.model.model_fields[name]).type not in LONG_TYPES


def _column(crud_class: type[Crud[Any]], shape: Shape, name: str, formats: Mapping[str, Format]) -> ListColumn:
    path = _path(shape, name)
    owner, column = _split_path(shape, path)
    info = owner.model.model_fields.get(column)
    label = label_of_field(owner.model, column) if path == name else label_of(name.removesuffix(".name"))
    sort = next((value for value in (name, path) if value in crud_class.sort), "")
    return ListColumn(name, path, label, sort, formats.get(name) or format_for(info), no_wrap=_no_wrap(owner, column))


def check_declaration(
    owner: str, crud_class: type[Crud[Any]], columns: Sequence[str], fields: Sequence[str], sections: Sequence[Any]
) -> None:
    """Raise OperatorError for names that do not exist, or that no user may see or write."""
    definition, shape = crud_class.definition, crud_class.definition.shape
    declaration = Declaration(owner, shape, definition.annotations)
    for name in columns:
        if name not in shape.links:
            declaration.require_readable_path("columns", _path(shape, name))
    for name in fields:
        if name in shape.links or name in shape.to_one:
            continue
        declaration.require_readable_path("fields", name)
    writable = (
        crud_class.create_schema.model_fields if crud_class.create_schema else writable_names(shape, definition.options)
    )
    for name in (name for _, names in sections for name in names):
        declaration.require_one_of("sections", name, writable, f"The form of {shape.model.__name__}")


def _path(shape: Shape, name: str) -> str:
    """Return the path to the title of the related row for a relationship, else the name itself."""
    relation = shape.relation_of(name)
    if not relation:
        return name
    title = title_column(shape.to_one[relation].mapper.class_)
    return f"{relation}.{title}" if title else shape.column_of(relation)


def _split_path(shape: Shape, path: str) -> tuple[Shape, str]:
    """Return the shape of the model that has the column, and the name of the column."""
    name, _, column = path.partition(".")
    return (shape_of(shape.to_one[name].mapper.class_), column) if column else (shape, name)


def _has_link(shape: Shape, path: str) -> bool:
    """Return whether a column holds files, or values that are already rendered as links."""
    owner, name = _split_path(shape, path)
    info = owner.model.model_fields.get(name)
    return name in file_columns_of(owner.model) or (info is not None and options_of(info).type in LINKS)


def _no_wrap(shape: Shape, name: str) -> bool:
    column = shape.columns.get(name)
    return column is not None and (isinstance(type_of(column), NO_WRAP_TYPES) or bool(choices_of(shape.model, name)))


async def read_rows(crud: Crud[Any], query: Paging, columns: Sequence[ListColumn]) -> Page[Any]:
    """Return a page of rows as mappings with the columns, the `id` and the `lookup` column."""
    shape = crud.definition.shape
    links = [column.path for column in columns if column.path in shape.links]
    paths = [column.path for column in columns if column.path not in links]
    page: Page[Any] = await crud.list_values(query, list(dict.fromkeys(["id", crud.lookup, *paths])))
    for name in links:
        ids = [row["id"] for row in page.items]
        related = await read_linked(crud.session, shape, name, ids, crud.visible)
        titles = iter(await names_of(crud.session, [row for rows in related.values() for (row,) in rows]))
        titles_by_id = {row_id: [next(titles) for _ in rows] for row_id, rows in related.items()}
        page = page.model_copy(update={"items": [{**row, name: titles_by_id.get(row["id"], [])} for row in page.items]})
    return page
