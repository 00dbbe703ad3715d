"""Displays the values of a row in lists and details: links to related rows, labels of choices, files.

The formats of a few types override those of `crud`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

from markupsafe import Markup, escape
from sqladmin.authorization import Action
from sqlalchemy import inspect
from starlette.requests import Request

from opportune.admin.authorization import may_see_titles
from opportune.admin.base import BaseAdminView
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.lists.row_keys import key_of, quote_key, unquote_key
from opportune.crud.formats import FORMATS, format_choice, format_quantity, format_value, scale_of, with_scale
from opportune.db.models.choices import choices_of
from opportune.db.models.columns import is_amount, is_json
from opportune.db.models.labels import label_of_field, title_of
from opportune.db.models.model import Model
from opportune.db.queries.paths import read_path_values
from opportune.fields.display import display, has_format, is_markdown
from opportune.fields.files import FileColumn, ImageColumn
from opportune.i18n import format_lazy, gettext_lazy
from opportune.i18n.formats import localize_number
from opportune.schemas.annotations import options_of
from opportune.schemas.text import shorten
from opportune.storage import Storage, StorageError
from opportune.web import markdown
from opportune.web.rendering.environment import with_breaks
from opportune.web.time_zone import format_time

MAX_CELL_LENGTH = 300
"""Characters in a cell of a list. The style sheet cuts texts at the width of their column."""

EMPTY_CELL = Markup('<span class="text-secondary">&ndash;</span>')
FILE_LINK = Markup('<a href="{url}"><i class="ti ti-file me-1"></i>{name}</a>')
PICTURE = Markup('<a href="{url}"><img class="rounded stored" src="{url}" alt="{name}" loading="lazy"></a>')

FORMATTERS: dict[type[Any], Any] = {
    **FORMATS,
    type(None): lambda _: EMPTY_CELL,
    datetime: format_time,
    str: lambda value: value,  # lists call `truncate`
    float: lambda value: localize_number(f"{value:,}"),  # the admin shows all digits
    bytes: lambda value: f"{len(value):,} bytes",
    Model: title_of,
}


def truncate(value: Any) -> Any:
    """Shorten and escape a long text for a table cell. HTML (`Markup`) is not changed."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return with_breaks(shorten(value, MAX_CELL_LENGTH)) if is_text else value


class DisplayMixin(BaseAdminView):
    def __init__(self) -> None:
        super().__init__()
        fields = getattr(self.model, "model_fields", {})
        columns = self.mapper.columns
        self.choice_names = {name for name in fields if choices_of(self.model, name)}
        amounts = {name: column for name, column in columns.items() if is_amount(column)}
        self.numeric_columns = {name: scale_of(amounts[name]) for name in amounts.keys() - self.choice_names}
        self.formatted_fields = {
            name: field
            for name, field in fields.items()
            if has_format(field) or (name in columns and is_json(columns[name]))
        }

    def _default_labels(self) -> dict[str, str]:
        """Return the labels of columns and relationships, and of other names in lists, details and search."""
        choices = map(self.names.of, self.column_choices)
        displayed = (*self.names.in_list, *choices, *self.names.in_details, *self.names.searched)
        names = dict.fromkeys((*self.mapper.attrs.keys(), *displayed))
        return {name: _label_with_unit(self.model, name) for name in names}

    async def get_prop_value(self, obj: Any, prop: str) -> Any:
        """Return a value by its name, or all values at the end of a path such as `author.name`."""
        if "." in prop:
            return read_path_values(obj, prop)
        # SQLAdmin loads missing values, but would return the name of an Enum, which filters and forms do not use.
        return vars(obj)[prop] if prop in vars(obj) else await super().get_prop_value(obj, prop)

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if self._has_formatter(prop, in_list=True):
            value, text = await super().get_list_value(obj, prop, request)
        else:
            value, text = await self._format_cell(obj, prop, request, self.column_type_formatters)
        return value, truncate(text)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if self._has_formatter(prop, in_list=False):
            return await super().get_detail_value(obj, prop, request)
        if request:
            await load_references(request, self, [prop], [obj])
        value, text = await self._format_cell(obj, prop, request, self.column_type_formatters_detail)
        if value and is_markdown(self.model, prop):
            text = await markdown.render_element_in_thread(value)
        return value, text

    async def _format_cell(self, obj: Any, prop: str, request: Any, formats: Any) -> tuple[Any, Any]:
        if "." in prop:
            texts = (truncate(self._link_or_value(value, request, formats)) for value in read_path_values(obj, prop))
            return None, Markup(", ").join(texts) or EMPTY_CELL
        if prop in self.many_to_many:
            rows = await self._linked_rows(obj, prop)
            return None, Markup(", ").join(self._link_or_value(row, request, formats) for row in rows) or EMPTY_CELL
        value = await self.get_prop_value(obj, prop)
        if prop in self.files:
            return value, await _render_file(request.app.state.storage, self.files[prop], value)
        if prop in self.references and value is not None:
            title = self.references[prop].title(request, value)
            return value, link_to(self.lookups[prop].view, quote_key(value), title, request)
        return value, format_column(self, prop, value, formats)

    def _link_or_value(self, value: Any, request: Request, formats: Any) -> Any:
        """Return a link if the value is a related row, else the formatted value."""
        if inspect(value, raiseerr=False) is None:
            return format_value(value, formats)
        return link_to(self.site.view_for_model(type(value)), key_of(value), title_of(value), request)

    async def _linked_rows(self, obj: Any, prop: str) -> Sequence[Any]:
        """Return the related rows of a many-to-many relationship. Load them if necessary."""
        if prop in inspect(obj).unloaded:
            return cast("Sequence[Any]", await self.many_to_many[prop].linked_rows(obj))
        return sorted(getattr(obj, prop), key=title_of)


async def _render_file(storage: Storage, column: FileColumn, name: str | None) -> Markup:
    """Render a link to a stored file, or the image, with a URL that expires after some minutes."""
    if not name:
        return EMPTY_CELL
    try:
        url = await storage.url(name)
    except StorageError as error:
        return escape(error)
    html = PICTURE if isinstance(column, ImageColumn) else FILE_LINK
    return html.format(url=url, name=name.rpartition("/")[2])


def format_column(view: BaseAdminView, name: str, value: Any, formats: Any = FORMATTERS) -> Any:
    """Return the value of a column as lists, details and the history show it."""
    if value is not None and name in view.choice_names:
        return format_choice(value)
    field = view.formatted_fields.get(name)
    text = display(field, value) if field else value
    if name not in view.numeric_columns:
        return format_value(text, formats)
    return format_quantity(with_scale(text, view.numeric_columns[name]), formats)


async def title_for(request: Request, view: BaseAdminView, row: Any) -> str:
    """Return the title of a row, or only its number if the user may not see it."""
    return title_of(row) if await may_see_titles(request, view) else f"{view.name} {unquote_key(key_of(row))}"


def link_to(view: BaseAdminView | None, key: str, title: object, request: Request) -> Markup:
    """Return the title of the row with this `key_of`, as a link if the user may open its page."""
    if view is None or not view.has_permission(request, Action.DETAILS):
        return with_breaks(str(title))
    url = request.url_for("admin:details", identity=view.identity, pk=quote(key))
    return Markup('<a href="{}">{}</a>').format(url, with_breaks(str(title)))


def _label_with_unit(model: type[Any], name: str) -> str:
    label = label_of_field(model, name)
    info = getattr(model, "model_fields", {}).get(name)
    unit = options_of(info).suffix if info else ""
    return format_lazy("%(label)s (%(unit)s)", label=label, unit=gettext_lazy(unit)) if unit else label
