"""Columns of a list: the value that each reads from a row, and its format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any

from markupsafe import Markup, escape
from sqlalchemy import Boolean, Date, DateTime, Integer, Interval, Numeric, Time

from opportune.crud.crud import Crud
from opportune.crud.declaration import Declaration, Shape, shape_of
from opportune.crud.display import Format, format_all, format_for, names_of, naming_column
from opportune.crud.reader import linked
from opportune.crud.schemas import writable_names
from opportune.db.models.columns import choices_of, is_long, label_of, type_of
from opportune.fields.display import LINKS
from opportune.fields.files import file_columns_of
from opportune.pagination import Page, Paging
from opportune.schemas.annotations import options_of

MAX_DEFAULT_COLUMNS = 6
LEADING_CLASS = ' class="leads"'
WHOLE_CLASS = ' class="whole"'
WHOLE_TYPES = (Boolean, Date, DateTime, Integer, Interval, Numeric, Time)
"""Types of short values, in which no line breaks."""
SEPARATOR = "\0"
"""Separates texts that are escaped together. Texts that contain it are escaped one by one."""
LONG_TYPES = ("markdown", "json", "lines")
"""Types of fields that lists leave out by default."""


@dataclass(frozen=True)
class ListColumn:
    """One column of a list."""

    name: str
    """The name in the options of the pages."""
    path: str
    """A column, an annotation, or the path to a column of a related row."""
    label: str
    sort: str
    """The value of `?sort=`; empty if the list cannot be sorted by it."""
    format: Format
    leads: bool = False
    """Whether it links to the page of the row."""
    is_whole: bool = False
    """Whether its values are short, such as dates, amounts and choices, and never wrap."""

    @cached_property
    def opening(self) -> str:
        """The opening tag of its cells. On a phone, CSS shows the label instead of the table's head."""
        kind = LEADING_CLASS if self.leads else WHOLE_CLASS if self.is_whole else ""
        return f'<td data-label="{escape(self.label)}"{kind}>'


Cells = Callable[[Mapping[str, Any]], Markup]
Address = Callable[[Mapping[str, Any]], str]


def written_rows(columns: Sequence[ListColumn], address: Address, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Render all rows of a table without a template, which would take more time than the rest of the page."""
    line = "".join(f"{column.opening.replace('%', '%%')}%s</td>" for column in columns)
    cells = zip(*(_texts(column, address, rows) for column in columns), strict=True)
    return Markup("".join([f"<tr>{line % row}</tr>\n" for row in cells]))  # noqa: S704 - cells are escaped


def cells_of(columns: Sequence[ListColumn], address: Address) -> Cells:
    """Return the function that renders the cells of one row, for a template that replaces the block `row`."""

    def cells(row: Mapping[str, Any]) -> Markup:
        written = [f"{column.opening}{_texts(column, address, [row])[0]}</td>" for column in columns]
        return Markup("".join(written))  # noqa: S704 - each is escaped

    return cells


def _texts(column: ListColumn, address: Address, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return the escaped contents of a column's cells. An empty cell that links to its row shows the row's number."""
    texts = escaped(format_all([row[column.path] for row in rows], column.format))
    if not column.leads:
        return texts
    addresses = escaped([address(row) for row in rows])
    named = [text or f"#{row['id']}" for text, row in zip(texts, rows, strict=True)]
    return [f'<a href="{there}">{text}</a>' for there, text in zip(addresses, named, strict=True)]


def escaped(texts: Sequence[str]) -> Sequence[str]:
    """Escape texts; plain ones in one call."""
    if {*map(type, texts)} == {str}:
        together = str(escape(SEPARATOR.join(texts))).split(SEPARATOR)
        if len(together) == len(texts):
            return together
    return [escape(text) for text in texts]


def list_columns(kind: type[Crud[Any]], names: Sequence[str], formats: Mapping[str, Format]) -> list[ListColumn]:
    """Return the named columns, or by default the first short ones. The first column links to the row's page.

    Raises:
        OperatorError: A column does not exist.
    """
    shape = kind.definition.shape
    return _with_link(shape, [_column(kind, shape, name, formats) for name in names or default_columns(kind)])


def visible_columns(crud: Crud[Any], columns: Sequence[ListColumn]) -> Sequence[ListColumn]:
    """Return the columns without those that are hidden from the user; the row's number if none remains."""
    visible = [each for each in columns if not (crud.hides(each.name) or crud.hides(each.path))]
    if len(visible) == len(columns):
        return columns
    return _with_link(crud.definition.shape, visible) if visible else list_columns(type(crud), ("id",), {})


def _with_link(shape: Shape, columns: Sequence[ListColumn]) -> list[ListColumn]:
    """Let the first column link to the row's page, unless it holds files or links."""
    leading = next((each for each in columns if not _has_own_link(shape, each.path)), columns[0])
    return [replace(each, leads=each is leading) for each in columns]


def default_columns(kind: type[Crud[Any]]) -> list[str]:
    """Return the default columns of a list: short fields of the API's response, without numbers of rows."""
    shape = kind.definition.shape
    return [name for name in kind.definition.answers.names if _is_short(kind, shape, name)][:MAX_DEFAULT_COLUMNS] or [
        "id"
    ]


def _is_short(kind: type[Crud[Any]], shape: Shape, name: str) -> bool:
    if name in kind.definition.annotations:
        return True
    if name in ("id", kind.owner) or name not in shape.columns or is_long(shape.columns[name]):
        return False
    return options_of(shape.model.model_fields[name]).type not in LONG_TYPES


def _column(kind: type[Crud[Any]], shape: Shape, name: str, formats: Mapping[str, Format]) -> ListColumn:
    path = _path(shape, name)
    owner, last = _owner(shape, path)
    info = owner.model.model_fields.get(last)
    label = (info.title if info and path == name else None) or label_of(name.removesuffix(".name"))
    sort = next((each for each in (name, path) if each in kind.sort), "")
    return ListColumn(name, path, label, sort, formats.get(name) or format_for(info), is_whole=_is_whole(owner, last))


def check_declaration(
    owner: str, kind: type[Crud[Any]], columns: Sequence[str], fields: Sequence[str], sections: Sequence[Any]
) -> None:
    """Raise OperatorError for names that do not exist, or that no user may see or write."""
    definition, shape = kind.definition, kind.definition.shape
    declared = Declaration(owner, shape, definition.annotations)
    for name in columns:
        if name not in shape.links:
            declared.readable_path("columns", _path(shape, name))
    for name in fields:
        if name in shape.links or name in shape.to_one:
            continue
        declared.readable_path("fields", name)
    writable = kind.create_schema.model_fields if kind.create_schema else writable_names(shape, definition.options)
    for name in (name for _, names in sections for name in names):
        declared.one_of("sections", name, writable, f"What one may write of {shape.model.__name__}")


def _path(shape: Shape, name: str) -> str:
    """Return the path to the title of the row that a relationship leads to, or the name itself."""
    relation = shape.relation_of(name)
    if not relation:
        return name
    words = naming_column(shape.to_one[relation].mapper.class_)
    return f"{relation}.{words}" if words else shape.column_of(relation)


def _owner(shape: Shape, path: str) -> tuple[Shape, str]:
    name, _, rest = path.partition(".")
    return (shape_of(shape.to_one[name].mapper.class_), rest) if rest else (shape, name)


def _has_own_link(shape: Shape, path: str) -> bool:
    """Whether a column holds files, which may be missing, or values that are rendered as links."""
    owner, name = _owner(shape, path)
    info = owner.model.model_fields.get(name)
    return name in file_columns_of(owner.model) or (info is not None and options_of(info).type in LINKS)


def _is_whole(shape: Shape, name: str) -> bool:
    column = shape.columns.get(name)
    return column is not None and (isinstance(type_of(column), WHOLE_TYPES) or bool(choices_of(shape.model, name)))


async def read_rows(crud: Crud[Any], wanted: Paging, columns: Sequence[ListColumn]) -> Page[Any]:
    """Return a page of rows as mappings with the values of the columns, `id` and the `lookup`."""
    shape = crud.definition.shape
    links = [column.path for column in columns if column.path in shape.links]
    paths = [column.path for column in columns if column.path not in links]
    page: Page[Any] = await crud.rows(wanted, list(dict.fromkeys(["id", crud.lookup, *paths])))
    for name in links:
        others = await linked(crud, name, [row["id"] for row in page.items], (), itemgetter(0))
        names = iter(await names_of(crud.session, [other for each in others.values() for other in each]))
        called = {number: [next(names) for _ in each] for number, each in others.items()}
        page = page.model_copy(update={"items": [{**row, name: called.get(row["id"], [])} for row in page.items]})
    return page
