"""Base classes of the views and of the site, for modules that `AdminView` and `AdminSite` import."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, cast

from sqladmin.filters import get_parameter_name
from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.current_request import current_request, values_of_request
from opportune.admin.editing.presence import Editors
from opportune.admin.extensions import Extensions
from opportune.admin.forms.fieldsets import Fieldset
from opportune.admin.sqladmin_adapter import AdapterSite, AdapterView
from opportune.crud import Crud
from opportune.crud.field_rules import NO_FIELDS
from opportune.crud.registry import default_crud
from opportune.db.database import Database
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.paths import loading_options
from opportune.fields.files import FileColumn

Check = Callable[[Request, Any], Awaitable[bool]]
"""Return whether the user may do an action to a row."""


class BaseAdminSite(AdapterSite):
    """The views and extensions of an admin."""

    database: Database
    extensions: Extensions

    def view_for_model(self, model: type[Any]) -> "BaseAdminView | None":
        """Return the view that rules references to a model: the one of its default data layer, else the first one."""
        views = [view for view in self.row_views if view.model is model]
        default = default_crud(model) if len(views) > 1 else None
        ruling = [view for view in views if default is not None and view.crud is default]
        return next(iter([*ruling, *views]), None)

    def view_by_identity(self, identity: str) -> "BaseAdminView | None":
        return next((view for view in self.row_views if view.identity == identity), None)

    @property
    def row_views(self) -> "list[BaseAdminView]":
        """The views of models. Other views, such as the status page, have no rows."""
        return [view for view in self.views if isinstance(view, BaseAdminView)]

    @cached_property
    def editors(self) -> Editors:
        return Editors(self.database.bus)

    @cached_property
    def has_field_rules(self) -> bool:
        """Whether a view uses a data layer that hides or locks fields."""
        return any(view.crud.definition.field_rules.locks for view in self.row_views if view.crud)


class BaseAdminView(AdapterView):
    """A view with the rules of its data layer, and with the relationships that it loads."""

    site: ClassVar[BaseAdminSite]
    has_history: ClassVar[bool] = True
    """Whether each row has a history page."""

    file_columns: ClassVar[Mapping[str, FileColumn]] = {}
    """Columns that hold the name of a stored file. The form can keep, replace and clear it."""

    column_choices: ClassVar[Sequence[Any]] = ()
    """Columns that users can add to the list. By default, the short columns of the details page."""

    fieldsets: ClassVar[Sequence[Fieldset]] = ()
    """Groups of columns with a title, in forms and details. Columns without a group come last."""

    list_parameters: ClassVar[Sequence[str]] = ()
    """Additional query parameters that your `list_query` reads. Lists refuse unknown parameters."""

    related_fields: ClassVar[Sequence[str]] = ()
    """Form fields without a column. `save_related` stores their values."""
    logged_fields: ClassVar[Sequence[str]] = ()
    """Fields that the log shows, although no page of the row does."""

    files: Mapping[str, FileColumn]
    """`file_columns`, and fields of the model whose type is a file."""
    references: dict[str, Any]
    """Lookups of foreign keys, by column."""
    many_to_many: dict[str, Any]
    """Lookups of many-to-many relationships, by name."""
    lookups: dict[str, Any]
    """Lookups for references, many-to-many relationships and filters."""
    _filters: Sequence[Any] = ()
    _hierarchy: Any = None
    """The date hierarchy of the list, or None."""

    crud: ClassVar[type[Crud[Any]] | None] = None
    """The data layer whose rules also apply in the admin, except for superusers.

    Rows that are not `readable` are not found. Rows that are not `writable` can only be read. `hidden_fields` and
    `readonly_fields` apply to forms, lists and details."""

    load: ClassVar[Sequence[str]] = ()
    """Relationships and paths to load with every row, such as `("reviews", "author.country")`.

    Relationships in listed columns are always loaded. Hooks and actions also have all relationships to one row and all
    many-to-many relationships."""

    def list_query(self, request: Request) -> Select[Any]:
        rows = super().list_query(request)
        return rows.where(crud.readable()) if (crud := self._crud_for(request)) else rows

    def writable(self, request: Request) -> list[ColumnElement[bool]]:
        """Return the conditions for rows that the user may change or delete."""
        return [crud.writable()] if (crud := self._crud_for(request)) else []

    @property
    def has_trash(self) -> bool:
        return issubclass(self.model, SoftDelete)

    @abstractmethod
    async def filtered_query(self, request: Request) -> Select[Any]:
        """Select the rows that match the search and filters of the URL."""

    @abstractmethod
    async def name_references(self, request: Request, column: str, rows: Sequence[Any]) -> None:
        """Load the titles of the rows that a column refers to, in one query for those not yet loaded."""

    @abstractmethod
    def format_column(self, name: str, value: Any) -> Any:
        """Return the value of a column as lists, details and the history show it."""

    # Hooks, in the transaction of a change. `ValidationRefused` rolls it back and shows its message.

    async def before_save(self, session: AsyncSession, row: Any, request: Request, *, is_created: bool) -> None:
        """Change a row before it is written. It has the values of the form. Queries in this hook do not flush it."""

    async def after_save(self, session: AsyncSession, row: Any, request: Request, *, is_created: bool) -> None:
        """Run after the row is written and has its id. Changes to the row in this hook are stored but not logged."""

    async def before_delete(self, session: AsyncSession, row: Any, request: Request) -> None:
        """Check a locked row and its related rows before they are deleted."""

    async def after_delete(self, session: AsyncSession, row: Any, request: Request) -> None:
        """Run after the row is deleted."""

    async def save_related(
        self, session: AsyncSession, request: Request, row: Any, related: dict[str, Any]
    ) -> dict[str, Any]:
        """Store the values of `related_fields`. Return the changes for the log."""
        return {}

    # Fields

    def get_filters(self) -> list[Any]:
        return [filter_ for filter_ in self._filters if not self.hides(parameter_name(filter_))]

    def get_date_hierarchy(self) -> Any:
        hierarchy = self._hierarchy
        return None if hierarchy is None or self.hides(hierarchy.name) else hierarchy

    def hides(self, path: str) -> bool:
        """Return whether a column, a relationship or a path such as `author.name` is hidden from the current user."""
        view, mapper = self._view_with_rules(self.mapper), self.mapper
        for name in path.split("."):
            if view and name in view._hidden_names:
                return True
            if name not in mapper.relationships:
                return False
            mapper = mapper.relationships[name].mapper
            view = self._view_with_rules(mapper)
        return False

    def _view_with_rules(self, mapper: Mapper[Any]) -> "BaseAdminView | None":
        if mapper is self.mapper:
            return self
        return self.site.view_for_model(mapper.class_)

    def _visible_names(self, names: list[str]) -> list[str]:
        """Return the names without those that are hidden from the current user."""
        if current_request.get() is None or not self.site.has_field_rules:
            return names
        return [name for name in names if not self.hides(name)]

    @property
    def _hidden_names(self) -> frozenset[str]:
        crud = self._field_rules()
        return crud.hidden_names if crud else NO_FIELDS

    @property
    def locked_names(self) -> frozenset[str]:
        """Columns and relationships that the current user may not write. Hidden fields are included."""
        crud = self._field_rules()
        return crud.locked_names if crud else NO_FIELDS

    def _field_rules(self) -> Crud[Any] | None:
        request = current_request.get()
        if request is None or self.crud is None or not self.crud.definition.field_rules.locks:
            return None
        cruds: dict[str, Crud[Any] | None] = values_of_request(request, "field_rules")
        if self.identity not in cruds:
            cruds[self.identity] = self._crud_for(request)
        return cruds[self.identity]

    @property
    def list_names(self) -> list[str]:
        return self._visible_names(super().list_names)

    @property
    def details_names(self) -> list[str]:
        return self._visible_names(super().details_names)

    @property
    def form_names(self) -> list[str]:
        return self._visible_names(super().form_names)

    @property
    def export_names(self) -> list[str]:
        return self._visible_names(super().export_names)

    @property
    def search_names(self) -> list[str]:
        return self._visible_names(self.all_search_names)

    @property
    def sort_names(self) -> list[str]:
        return self._visible_names(self.all_sort_names)

    def _crud_for(self, request: Request) -> Crud[Any] | None:
        user: User = request.state.user
        if self.crud is None or user.is_superuser:
            return None
        # The rules of a data layer need no session.
        return self.crud(cast("AsyncSession", None), user, request.state.permissions)

    # Loading

    def loading(self, names: Sequence[str]) -> list[Any]:
        """Return the loader options for these names and for `load`."""
        return loading_options(self.mapper, [*names, *self.load])

    def advise_loading(self, model: str, name: str) -> str:
        """Return the code that loads a relationship of a model, as advice on the error page."""
        path = next(self._paths_to(model, name), name)
        return f"class {type(self).__name__}(AdminView, …):\n    load = {(*self.load, path)!r}"

    def _paths_to(self, model: str, name: str) -> Iterator[str]:
        if self.model.__name__ == model:
            yield name
        relations = self.mapper.relationships.items()
        yield from (f"{key}.{name}" for key, relation in relations if relation.mapper.class_.__name__ == model)


def parameter_name(filter_: Any) -> str:
    """Return the query parameter of a filter, or of a column that is one."""
    return str(getattr(filter_, "parameter_name", None) or get_parameter_name(filter_))
