"""Columns of a list: their values and rendered cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup, escape
from sqlalchemy import Boolean, Date, DateTime, Integer, Interval, Numeric, Time

from opportune.crud.crud import Crud
from opportune.crud.declaration import Declaration, Shape, shape_of
from opportune.crud.formats import Format, format_all, format_for, names_of, title_column
from opportune.crud.schema_fields import writable_names
from opportune.crud.selection import read_linked
from opportune.db.models.choices import choices_of
from opportune.db.models.columns import is_amount, is_long, type_of
from opportune.db.models.labels import label_of, label_of_field, title_of_key
from opportune.db.models.soft_delete import is_trash_column
from opportune.fields.display import LINKS
from opportune.fields.files import file_columns_of
from opportune.pagination import Page, Paging
from opportune.schemas.annotations import options_of
from opportune.web import url

MAX_DEFAULT_COLUMNS = 6
NO_WRAP_TYPES = (Boolean, Date, Integer, Interval, Numeric, Time)
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
    css_class: str = ""
    """Values of the class `whole` never wrap, because they are short. Those of `num` are amounts.

    Times and choices have `wraps`: they wrap on narrow screens.
    """

    @property
    def opening(self) -> str:
        """The opening tag of a cell. On small screens, CSS shows the label in each cell instead of the table head."""
        css_class = "leads" if self.links_to_row else self.css_class
        css_attribute = f' class="{css_class}"' if css_class else ""
        return f'<td data-label="{escape(self.label)}"{css_attribute}>'


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
    """Return the escaped contents of a column's cells. An empty link shows the row's id. Rows may have no page."""
    texts = escape_texts(format_all([row[column.path] for row in rows], column.format))
    if not column.links_to_row:
        return texts
    urls = escape_texts([url(url_of(row)) for row in rows])
    titles = [text or f"#{row['id']}" for text, row in zip(texts, rows, strict=True)]
    links = zip(urls, titles, strict=True)
    return [f'<a href="{row_url}">{title}</a>' if row_url else title for row_url, title in links]


def escape_texts(texts: Sequence[str]) -> Sequence[str]:
    """Escape texts. Plain strings are escaped in one call, which saves a sixth of the calls of a list."""
    types = {*map(type, texts)}
    if types == {str}:
        parts = str(escape(SEPARATOR.join(texts))).split(SEPARATOR)
        if len(parts) == len(texts):
            return parts
    return texts if types == {Markup} else [escape(text) for text in texts]


def list_columns(crud_class: type[Crud[Any]], names: Sequence[str], formats: Mapping[str, Format]) -> list[ListColumn]:
    """Return the named columns, by default the first short ones. The first column links to the row's page.

    Raises:
        OperatorError: A column does not exist.
    """
    shape = crud_class.definition.shape
    columns = [_column(crud_class, shape, name, formats) for name in names or default_columns(crud_class)]
    return _link_first(shape, columns)


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
    names = crud_class.definition.serializer.names
    short_names = [name for name in names if _is_short(crud_class, shape, name)]
    return short_names[:MAX_DEFAULT_COLUMNS] or ["id"]


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
    owner = _owner_of(shape, path)
    column = path.rpartition(".")[2]
    label = label_of_field(owner.model, column) if path == name else label_of(name.removesuffix(".name"))
    sort = next((value for value in (name, path) if value in crud_class.sort), "")
    format_ = formats.get(name) or format_for(owner, column)
    return ListColumn(name, path, label, sort, format_, css_class=_css_class(owner, column))


def check_declaration(pages: Any) -> None:
    """Raise OperatorError for names in options of `CrudPages` that do not exist, or that no user may see or write."""
    definition = pages.crud_class.definition
    shape = definition.shape
    declaration = Declaration(type(pages).__name__, shape, definition.annotations)
    for option, names in (("columns", pages.columns), ("formats", pages.formats)):
        for name in names:
            if name not in shape.links:
                declaration.require_readable_path(option, _path(shape, name))
    for name in pages.fields:
        if name not in {*shape.links, *shape.to_one}:
            declaration.require_readable_path("fields", name)
    schema = pages.crud_class.create_schema
    writable = schema.model_fields if schema else writable_names(shape, definition.options)
    for _, names in pages.sections:
        for name in names:
            declaration.require_one_of("sections", name, writable, f"The form of {shape.model.__name__}")


def _path(shape: Shape, name: str) -> str:
    """Return the path to the title of the related row for a relationship, else the name itself."""
    relation = shape.relation_of(name)
    if not relation:
        return name
    title = title_column(shape.to_one[relation].mapper.class_)
    return f"{relation}.{title}" if title else shape.column_of(relation)


def _owner_of(shape: Shape, path: str) -> Shape:
    """Return the shape of the model that has the column at the end of a path."""
    relation = path.rpartition(".")[0]
    return shape_of(shape.to_one[relation].mapper.class_) if relation else shape


def _has_link(shape: Shape, path: str) -> bool:
    """Return whether a column holds files, or values that are already rendered as links."""
    owner = _owner_of(shape, path)
    name = path.rpartition(".")[2]
    info = owner.model.model_fields.get(name)
    return name in file_columns_of(owner.model) or (info is not None and options_of(info).type in LINKS)


def _css_class(shape: Shape, name: str) -> str:
    column = shape.columns.get(name)
    if column is None:
        return ""
    if choices_of(shape.model, name) or isinstance(type_of(column), DateTime):
        return "whole wraps"
    if is_amount(column):
        return "whole num"
    is_short = options_of(shape.model.model_fields[name]).type == "tel" or isinstance(type_of(column), NO_WRAP_TYPES)
    return "whole" if is_short else ""


async def read_rows(crud: Crud[Any], query: Paging, columns: Sequence[ListColumn]) -> Page[Any]:
    """Return a page of rows as mappings with the columns, the `id` and the `lookup` column."""
    shape = crud.definition.shape
    links = [column.path for column in columns if column.path in shape.links]
    paths = [column.path for column in columns if column.path not in links]
    relations = {column.path: name for column in columns if (name := shape.relation_of(column.name))}
    keys = map(shape.column_of, relations.values())
    page: Page[Any] = await crud.list_values(query, list(dict.fromkeys(["id", crud.lookup, *paths, *keys])))
    for path, relation in relations.items():
        _fill_empty_titles(shape, path, relation, page.items)
    for name in links:
        await _add_linked_titles(crud, name, page.items)
    return page


def _fill_empty_titles(shape: Shape, path: str, relation: str, rows: Sequence[dict[str, Any]]) -> None:
    """Name related rows with an empty title by their key, such as users without a display name."""
    key_column = shape.column_of(relation)
    model = shape.to_one[relation].mapper.class_
    for row in rows:
        if row[path] == "":
            row[path] = str(title_of_key(model, row[key_column]))


async def _add_linked_titles(crud: Crud[Any], name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add the titles of the rows that a many-to-many relationship links to each row."""
    linked = await read_linked(crud, name, [row["id"] for row in rows])
    related = [row for values in linked.values() for (row,) in values]
    titles = dict(zip((row.id for row in related), await names_of(crud.session, related), strict=True))
    for row in rows:
        row[name] = [titles[linked_row.id] for (linked_row,) in linked.get(row["id"], ())]
