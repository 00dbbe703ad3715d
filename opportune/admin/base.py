"""Base classes of the views and of the site, for modules that `AdminView` and `AdminSite` import."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import NonNegativeInt
from sqladmin.authorization import Action
from sqladmin.filters import get_parameter_name
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.permissions import matches_permission
from opportune.admin.extensions import Extensions
from opportune.admin.forms.admin_form import Fieldset, FormExtension
from opportune.admin.sqladmin_adapter import AdapterSite, AdapterView, visible_actions
from opportune.admin.view_parts import CrudRules, FieldNames, Queries
from opportune.crud import Crud
from opportune.crud.registry import TeamOwners, default_crud
from opportune.db.database import Database
from opportune.errors.arguments import strict
from opportune.errors.option_constraints import DISTINCT, Names
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.fields.files import FileColumn

INLINES_KEY = "(inlines)"
READ_VALUES_KEY = "(read)"
"""Keys in the data of a form, beside the names of columns: the tables of inlines, and the values it was shown with."""
Check = Callable[[Request, Any], Awaitable[bool]]
"""Function that returns whether the user may do an action to a row."""


class BaseAdminSite(AdapterSite):
    """The views and extensions of an admin."""

    database: Database
    extensions: Extensions

    def view_for_model(self, model: type[Any]) -> "BaseAdminView | None":
        """Return the view that rules references to a model: the one of its default data layer, else the first one."""
        views = [view for view in self.row_views if view.model is model]
        if len(views) > 1 and (default := default_crud(model)):
            views.sort(key=lambda view: view.crud is not default)
        return views[0] if views else None

    def view_by_identity(self, identity: str) -> "BaseAdminView | None":
        return next((view for view in self.row_views if view.identity == identity), None)

    @property
    def row_views(self) -> "list[BaseAdminView]":
        """The views of models. Other views, such as the status page, have no rows."""
        return [view for view in self.views if isinstance(view, BaseAdminView)]

    @cached_property
    def team_owners(self) -> TeamOwners | None:
        """The model of teams that own rows of a view, by the rules of its data layer. None if no team does."""
        return next(filter(None, (view.crud.team_owners() for view in self.row_views if view.crud)), None)

    @cached_property
    def has_field_rules(self) -> bool:
        """Whether a view uses a data layer that hides or locks fields."""
        return any(view.crud.definition.field_rules.locks for view in self.row_views if view.crud)


class BaseAdminView(AdapterView):
    """A view with the rules of its data layer, and with the relationships that it loads."""

    site: ClassVar[BaseAdminSite]
    file_columns: ClassVar[Mapping[str, FileColumn]] = {}
    """Columns that hold the name of a stored file. The form can keep, replace and clear it."""

    column_choices: ClassVar[Sequence[Any]] = ()
    """Columns that users can add to the list. By default, the short columns of the details page."""

    fieldsets: ClassVar[Annotated[Sequence[Fieldset], DISTINCT]] = ()
    """Groups of columns with a title, in forms and details. Columns without a group come last."""

    list_parameters: ClassVar[Sequence[str]] = ()
    """Additional query parameters that your `list_query` reads. Lists refuse unknown parameters."""

    _form_extension: ClassVar[type[FormExtension]] = FormExtension
    _logged_fields: ClassVar[Sequence[str]] = ()
    """Fields that the log shows, although no page of the row does."""
    _confirmed_actions: ClassVar[Sequence[str]] = ()
    """Actions for which users confirm their identity first."""
    _has_history: ClassVar[bool] = True
    """Whether each row has a history page."""

    files: Mapping[str, FileColumn]
    """`file_columns`, and fields of the model whose type is a file."""
    references: dict[str, Any]
    """Lookups of foreign keys, by column."""
    many_to_many: dict[str, Any]
    """Lookups of many-to-many relationships, by name."""
    lookups: dict[str, Any]
    """Lookups for references, many-to-many relationships and filters."""
    choice_names: set[str]
    """Fields with choices."""
    numeric_columns: Mapping[str, int]
    """Number of decimals by column."""
    formatted_fields: dict[str, Any]
    """Fields whose annotations set a format, such as amounts, and fields with JSON values."""
    hierarchy: Any
    """The date hierarchy of the list, or None."""
    _filters: Sequence[Any] = ()

    crud: ClassVar[type[Crud[Any]] | None] = None
    """The data layer whose rules also apply in the admin, except for superusers.

    Rows that are not `readable` are not found. Rows that are not `writable` can only be read. `hidden_fields` and
    `readonly_fields` apply to forms, lists and details."""

    load: ClassVar[Sequence[str]] = ()
    """Relationships and paths to load with every row, such as `("reviews", "author.country")`.

    Relationships in listed columns are always loaded. Hooks and actions also have all relationships to one row and all
    many-to-many relationships."""

    def __init__(self) -> None:
        self.rules = CrudRules(self.crud, self.identity)
        self.queries = Queries(self, self.load)
        self.form_extension = self._form_extension(self)
        super().__init__()
        self.names = FieldNames(self, self.rules)

    def list_query(self, request: Request) -> Select[Any]:
        return super().list_query(request).where(*self.rules.readable(request))

    def has_permission(self, request: Request, action: str, obj: Any = None) -> bool:
        # A list checks each row, so this does what SQLAdmin's way through `Authorization` also does.
        name = RENAMED_ACTIONS.get(action, action)
        return matches_permission(request.state.permissions, self.identity, name) and self.rules.has_role(request, name)

    def get_filters(self) -> list[Any]:
        return [filter_ for filter_ in self._filters if not self.names.hides(parameter_name(filter_))]

    def is_accessible(self, request: Request) -> bool:
        # The menu checks all views. SQLAdmin would collect the actions of each, of which most users have the first.
        return self.has_permission(request, Action.LIST) or super().is_accessible(request)

    def is_visible(self, request: Request) -> bool:
        """Return whether the menu has a link to the list."""
        return self.has_permission(request, Action.LIST)

    def links(self, request: Request, row: Any) -> Sequence[tuple[str, str]]:
        """Return labels and URLs of additional buttons on the pages of a row."""
        return ()

    def _actions_for(self, request: Request, row: Any) -> dict[str, str]:
        return visible_actions(request, self, in_detail=True)

    def site_url(self, row: Any) -> str:
        """Return the URL of the row's page on the site, or an empty text."""
        return ""

    # Hooks, in the transaction of a change. `ValidationRefused` rolls it back and shows its message.

    async def before_save(self, session: AsyncSession, row: Any, request: Request, *, is_created: bool) -> None:
        """Change a row before it is written. It has the values of the form. Queries in this hook do not flush it."""

    async def after_save(self, session: AsyncSession, row: Any, request: Request, *, is_created: bool) -> None:
        """Run after the row is written and has its id. Changes to the row in this hook are stored but not logged."""

    async def before_delete(self, session: AsyncSession, row: Any, request: Request) -> None:
        """Check a locked row and its related rows before they are deleted."""

    async def after_delete(self, session: AsyncSession, row: Any, request: Request) -> None:
        """Run after the row is deleted."""


@strict
@dataclass(frozen=True)
class Inline:
    """Rows of another model in a form. The view of that model defines the rules and permissions.

    inlines = (Inline(Seat, "event_id", ("name", "price"), sortable="position"),)
    """

    model: type[Any]
    by: str
    """Foreign key column that refers to the row of the form."""
    columns: Names
    """Columns to edit, including all columns that a new row requires."""
    extra: NonNegativeInt = 2
    """Number of empty lines for new rows on pages without JavaScript, which have no button to add a line."""
    sortable: str = ""
    """Column of whole numbers with the position of a row. Users move the rows, and the form stores the positions."""


def has_history(view: BaseAdminView) -> bool:
    return view._has_history


def row_actions(request: Request, view: BaseAdminView, row: Any) -> dict[str, str]:
    return view._actions_for(request, row)


def parameter_name(filter_: Any) -> str:
    """Return the query parameter of a filter, or of a column that is one."""
    return str(getattr(filter_, "parameter_name", None) or get_parameter_name(filter_))
