"""Row rules, names and queries of a view, in its attributes `rules`, `names` and `queries`."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.current_request import current_request, values_of_request
from opportune.admin.sqladmin_adapter import AdapterView, property_name
from opportune.crud import Crud
from opportune.crud.field_rules import NO_FIELDS
from opportune.db.queries.paths import column_of_relation, loading_options


class CrudRules:
    """Row rules of a request, and field rules of the current request. Without a data layer there are none."""

    def __init__(self, crud_class: type[Crud[Any]] | None, identity: str) -> None:
        self.crud_class = crud_class
        self.identity = identity

    def readable(self, request: Request) -> list[ColumnElement[bool]]:
        """Return the conditions for rows that the user may see."""
        return [crud.readable()] if (crud := self._crud_for(request)) else []

    def writable(self, request: Request) -> list[ColumnElement[bool]]:
        """Return the conditions for rows that the user may change or delete."""
        return [crud.writable()] if (crud := self._crud_for(request)) else []

    def has_role(self, request: Request, action: str) -> bool:
        """Return whether the user has the role in the current team that `team_roles` requires for an action."""
        needs_role = self.crud_class is not None and action in self.crud_class.team_roles
        crud = self._crud_for(request) if needs_role else None
        return crud is None or crud.may(action)

    @property
    def hidden(self) -> frozenset[str]:
        """Columns and relationships that the current user may not see."""
        crud = self._crud_with_field_rules()
        return crud.hidden_names if crud else NO_FIELDS

    @property
    def locked(self) -> frozenset[str]:
        """Columns and relationships that the current user may not write. Hidden fields are included."""
        crud = self._crud_with_field_rules()
        return crud.locked_names if crud else NO_FIELDS

    def _crud_for(self, request: Request) -> Crud[Any] | None:
        """Return the data layer of the user, or None for superusers and for views without one."""
        user: User = request.state.user
        if self.crud_class is None or user.is_superuser:
            return None
        # The rules of a data layer need no session. The middleware has read the current team, as for pages.
        team = getattr(request.state, "crud_team", None)
        return self.crud_class(cast("AsyncSession", None), user, request.state.permissions, team)

    def _crud_with_field_rules(self) -> Crud[Any] | None:
        request = current_request.get()
        if request is None or self.crud_class is None or not self.crud_class.definition.field_rules.locks:
            return None
        cruds: dict[str, Crud[Any] | None] = values_of_request(request, "field_rules")
        if self.identity not in cruds:
            cruds[self.identity] = self._crud_for(request)
        return cruds[self.identity]


class FieldNames:
    """The names of a view, such as `view.names.in_list`."""

    def __init__(self, view: AdapterView, rules: CrudRules) -> None:
        self._view = view
        self._rules = rules
        self._in_list = view.get_list_columns()
        self._in_details = view.get_details_columns()
        self._in_form = view.get_form_columns()
        self._in_export = view.get_export_columns()
        relations = view.mapper.relationships.keys()
        self._columns_of_relations = {name: column_of_relation(view.mapper, name) for name in relations}

    def of(self, value: Any) -> str:
        """Return the name in an option, which may be an attribute such as `Book.title`.

        A relationship to one row has the name of its foreign key column.
        """
        name = property_name(value)
        return self._columns_of_relations.get(name, name)

    @property
    def in_list(self) -> list[str]:
        return self._visible(self._in_list)

    @property
    def in_details(self) -> list[str]:
        return self._visible(self._in_details)

    @property
    def in_form(self) -> list[str]:
        return self._visible(self._in_form)

    @property
    def in_export(self) -> list[str]:
        return self._visible(self._in_export)

    @property
    def searched(self) -> list[str]:
        return self._visible(self._view.all_search_names)

    @property
    def sortable(self) -> list[str]:
        return self._visible(self._view.all_sort_names)

    def hides(self, path: str) -> bool:
        """Return whether a column, a relationship or a path such as `author.name` is hidden from the current user."""
        mapper = self._view.mapper
        rules = self._rules_for(self._view.model)
        for name in path.split("."):
            if rules and name in rules.hidden:
                return True
            if name not in mapper.relationships:
                return False
            mapper = mapper.relationships[name].mapper
            rules = self._rules_for(mapper.class_)
        return False

    def _rules_for(self, model: type[Any]) -> CrudRules | None:
        if model is self._view.model:
            return self._rules
        view = self._view.site.view_for_model(model)
        return view.rules if view else None

    def _visible(self, names: list[str]) -> list[str]:
        if current_request.get() is None or not self._view.site.has_field_rules:
            return names
        return [name for name in names if not self.hides(name)]


class Queries:
    """Reads rows for a view, such as `await view.queries.objects(select(Book))`."""

    def __init__(self, view: AdapterView, load: Sequence[str]) -> None:
        self._view = view
        self._load = load

    async def objects(self, statement: Any) -> list[Any]:
        """Return the objects of a query for one model, or the values of one column."""
        async with self._view.session_maker() as session:
            return list((await session.scalars(statement)).unique())

    async def tuples(self, statement: Any) -> list[Any]:
        """Return the rows of a query for columns."""
        async with self._view.session_maker() as session:
            return list(await session.execute(statement))

    def loading(self, names: Sequence[str]) -> list[Any]:
        """Return the loader options for these names and for the view's `load`."""
        return [*loading_options(self._view.mapper, [*names, *self._load])]
