"""How the values of a row are shown: references by name, choices in words, files by themselves."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

from markupsafe import Markup
from sqladmin.authorization import Action
from sqladmin.helpers import get_object_identifier
from sqlalchemy import inspect
from starlette.requests import Request

from opportune.admin.authorization import may_see
from opportune.admin.forms.fieldsets import Fieldset
from opportune.admin.forms.files import render_file
from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.admin.forms.many_to_many import ManyToManyLookup
from opportune.admin.forms.model_fields import titles_of
from opportune.admin.lists.formatters import EMPTY_CELL, truncate
from opportune.admin.protocols import Site, View
from opportune.admin.sqladmin_adapter import AdapterView
from opportune.db.columns import choice_label, choices_of, label_of, title_of
from opportune.db.paths import values_at
from opportune.fields.display import display
from opportune.fields.files import FileColumn


class DisplayMixin(AdapterView):
    file_columns: ClassVar[Mapping[str, FileColumn]] = {}
    """Columns that hold the name of a stored file. The form keeps, replaces and clears what is there."""

    fieldsets: ClassVar[Sequence[Fieldset]] = ()
    """Groups of columns with a title, in forms and details. What is in none comes last."""

    list_parameters: ClassVar[Sequence[str]] = ()
    """Query parameters that your `list_query` reads. A list refuses those that it does not know."""

    files: Mapping[str, FileColumn]
    """Those, and the fields of the model that hold files by their type."""
    references: dict[str, ForeignKeyLookup]
    many_to_many: dict[str, ManyToManyLookup]
    lookups: dict[str, ForeignKeyLookup]
    """Of both."""
    site: ClassVar[Site]

    def is_visible(self, request: Request) -> bool:
        """In the menu, which leads to the list."""
        return self.has_permission(request, Action.LIST)

    def default_labels(self) -> dict[str, str]:
        """What people call columns, relationships, and the paths and properties that lists, details and search name."""
        named = (*self.list_names, *self.details_names, *self.search_names)
        names = (*(attribute.key for attribute in self.mapper.attrs), *named)
        return {name: label_of(name) for name in names} | titles_of(self.model)

    async def name_references(self, request: Request, column: str, rows: Sequence[Any]) -> None:
        """Find out what the rows that a column points at are called, in one query."""
        ids = {getattr(row, column) for row in rows} - {None}
        known = await self.references[column].rows(list(ids)) if ids else []
        names: dict[Any, str] = getattr(request.state, f"names_{self.identity}_{column}", {})
        setattr(request.state, f"names_{self.identity}_{column}", names | {row.id: title_of(row) for row in known})

    async def get_prop_value(self, obj: Any, prop: str) -> Any:
        """A value by its name; by a path such as `author.name` those of all rows that it leads to."""
        return values_at(obj, prop) if "." in prop else await super().get_prop_value(obj, prop)

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if request and not self.has_formatter(prop, in_list=True) and self._is_special(prop):
            return self._plain(obj, prop), await self._special(obj, prop, request)
        value, shown = await super().get_list_value(obj, prop, request)
        return value, truncate(shown if self.has_formatter(prop, in_list=True) else self._in_words(prop, value, shown))

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if request and not self.has_formatter(prop, in_list=False) and self._is_special(prop):
            if prop in self.references:
                await self.name_references(request, prop, [obj])
            return self._plain(obj, prop), await self._special(obj, prop, request)
        value, shown = await super().get_detail_value(obj, prop, request)
        return value, shown if self.has_formatter(prop, in_list=False) else self._in_words(prop, value, shown)

    def _in_words(self, prop: str, value: Any, shown: Any) -> Any:
        """What the type of the field says of its value, if it says anything."""
        info = getattr(self.model, "model_fields", {}).get(prop)
        words = display(info, value) if info else value
        return shown if words is value else words

    def _plain(self, obj: Any, prop: str) -> Any:
        return None if prop in self.many_to_many or "." in prop else getattr(obj, prop)  # which may not be loaded

    def _is_special(self, prop: str) -> bool:
        known = (self.references, self.many_to_many, self.files)
        return "." in prop or any(prop in names for names in known) or bool(choices_of(self.model, prop))

    async def _special(self, obj: Any, prop: str, request: Request) -> str:
        if "." in prop:
            return Markup(", ").join(self._at_path(value, request) for value in values_at(obj, prop)) or EMPTY_CELL
        if prop in self.files:
            return await render_file(request.app.state.storage, self.files[prop], getattr(obj, prop))
        if prop in self.many_to_many:
            rows = await self.linked_rows(obj, prop)
            return (
                Markup(", ").join(link_to(self.lookups[prop].view, row.id, title_of(row), request) for row in rows)
                or EMPTY_CELL
            )
        if getattr(obj, prop) is None:
            return EMPTY_CELL
        return self._link(obj, prop, request) if prop in self.references else choice_label(getattr(obj, prop))

    def _at_path(self, value: Any, request: Request) -> Any:
        if isinstance(value, Enum):
            return choice_label(value)
        if inspect(value, raiseerr=False) is None:
            return truncate(self.format_value(value))
        return link_to(self.site.view_for_model(type(value)), value.id, title_of(value), request)

    def _link(self, obj: Any, prop: str, request: Request) -> Markup:
        number = getattr(obj, prop)
        names = getattr(request.state, f"names_{self.identity}_{prop}")
        return link_to(self.lookups[prop].view, number, names.get(number, number), request)

    async def linked_rows(self, obj: Any, prop: str) -> Sequence[Any]:
        """What a row is linked with, which may be loaded."""
        if prop in inspect(obj).unloaded:
            return await self.many_to_many[prop].linked(obj)
        return sorted(getattr(obj, prop), key=title_of)

    async def title_for(self, request: Request, row: Any) -> str:
        """What a row is called, for whoever may see it; its number for who may only do something to it."""
        return title_of(row) if await may_see(request, self) else f"{self.name} {get_object_identifier(row)}"

    def links(self, request: Request, row: Any) -> Sequence[tuple[str, str]]:
        """More that can be done with a row: labels and addresses of buttons on its pages."""
        return ()

    def actions_for(self, request: Request, row: Any) -> dict[str, str]:
        """Which actions the row's page offers: labels by slug."""
        return self.visible_actions(request, in_detail=True)

    def site_url(self, row: Any) -> str:
        """The row's own page on the site, or nothing where it has none."""
        return ""


def link_to(view: View | None, number: int, title: object, request: Request) -> Markup:
    """What a row is called, as a way to its page for whoever may open it."""
    if view is None or not view.has_permission(request, Action.DETAILS):
        return Markup("{}").format(title)
    address = request.url_for("admin:details", identity=view.identity, pk=number)
    return Markup('<a href="{}">{}</a>').format(address, title)
