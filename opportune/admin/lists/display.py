"""How the values of a row are shown: references by name, choices in words, files by themselves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from markupsafe import Markup
from sqladmin import ModelView
from sqladmin.authorization import Action
from sqladmin.helpers import get_object_identifier
from starlette.requests import Request

from opportune.admin.authorization import may_see
from opportune.admin.columns import choice_label, choices_of, title_of
from opportune.admin.forms.fieldsets import Fieldset
from opportune.admin.forms.files import FileColumn, render_file
from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.admin.lists.formatters import EMPTY_CELL, truncate

if TYPE_CHECKING:
    from opportune.admin.site import AdminSite


class DisplayMixin(ModelView):
    file_columns: ClassVar[Mapping[str, FileColumn]] = {}
    """Columns that hold the name of a stored file. The form keeps, replaces and clears what is there."""

    fieldsets: ClassVar[Sequence[Fieldset]] = ()
    """Groups of columns with a title, in forms and details. What is in none comes last."""

    references: dict[str, ForeignKeyLookup]
    _admin_ref: "ClassVar[AdminSite]"

    def is_visible(self, request: Request) -> bool:
        """In the menu, which leads to the list."""
        return self.has_permission(request, Action.LIST)

    async def _name_references(self, request: Request, column: str, rows: Sequence[Any]) -> None:
        """Find out what the rows that a column points at are called, in one query."""
        ids = {getattr(row, column) for row in rows} - {None}
        known = await self.references[column].rows(list(ids)) if ids else []
        names: dict[Any, str] = getattr(request.state, f"names_{self.identity}_{column}", {})
        setattr(request.state, f"names_{self.identity}_{column}", names | {row.id: title_of(row) for row in known})

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if request and prop not in self._list_formatters and self._is_special(prop):
            return getattr(obj, prop), await self._special(obj, prop, request)
        value, shown = await super().get_list_value(obj, prop, request)
        return value, truncate(shown)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if request and prop not in self._detail_formatters and self._is_special(prop):
            if prop in self.references:
                await self._name_references(request, prop, [obj])
            return getattr(obj, prop), await self._special(obj, prop, request)
        return await super().get_detail_value(obj, prop, request)

    def _is_special(self, prop: str) -> bool:
        return prop in self.references or prop in self.file_columns or bool(choices_of(self.model, prop))

    async def _special(self, obj: Any, prop: str, request: Request) -> str:
        if prop in self.file_columns:
            return await render_file(request.app.state.storage, self.file_columns[prop], getattr(obj, prop))
        if getattr(obj, prop) is None:
            return EMPTY_CELL
        return self._link(obj, prop, request) if prop in self.references else choice_label(getattr(obj, prop))

    def _link(self, obj: Any, prop: str, request: Request) -> Markup:
        number = getattr(obj, prop)
        title = getattr(request.state, f"names_{self.identity}_{prop}").get(number, number)
        view = self._admin_ref.view_for_model(self.references[prop].model)
        if view is None or not view.has_permission(request, Action.DETAILS):
            return Markup("{}").format(title)
        address = request.url_for("admin:details", identity=view.identity, pk=number)
        return Markup('<a href="{}">{}</a>').format(address, title)

    async def title_for(self, request: Request, row: Any) -> str:
        """What a row is called, for whoever may see it; its number for who may only do something to it."""
        return title_of(row) if await may_see(request, self) else f"{self.name} {get_object_identifier(row)}"

    def links(self, request: Request, row: Any) -> Sequence[tuple[str, str]]:
        """More that can be done with a row: labels and addresses of buttons on its pages."""
        return ()

    def actions_for(self, request: Request, row: Any) -> dict[str, str]:
        """Which actions the row's page offers: labels by slug."""
        return self._visible_custom_actions(request, in_detail=True)

    def site_address(self, row: Any) -> str:
        """The row's own page on the site, or nothing where it has none."""
        return ""
