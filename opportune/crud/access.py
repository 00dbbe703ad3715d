"""Rows and fields of a model that one user may see and write: the rules and statements of a `Crud` class.

Projects override the public methods of `RowAccess`.
"""

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.sql.elements import True_
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.permissions import identity_of, matches_permission, refuse_renamed_action
from opportune.crud.definition import Definition
from opportune.crud.field_rules import HIDDEN, NO_FIELDS, READONLY
from opportune.crud.options import CrudOptions, Permission
from opportune.crud.query_schema import CURSOR, LANGUAGES, TRASH_PARAMETER
from opportune.crud.registry import Team, default_crud
from opportune.crud.serializer import Serializer
from opportune.db.models.translated import current_text, is_translated
from opportune.db.queries.matching import holds_text, matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.errors import FieldErrors, Forbidden
from opportune.pagination import Paging, order

READ_ACTIONS = {"list", "get"}
WRITE_ACTIONS = {"create", "update", "delete"}
PAGING = frozenset(Paging.model_fields)


class RowAccess(CrudOptions):
    """The rules of a data layer for one user, and the parts of its statements. `Crud` reads and writes rows by them."""

    definition: ClassVar[Definition]
    narrowed_search: tuple[str, Sequence[ColumnElement[bool]]] = ("", ())
    """The words of the current search and a condition that limits it, from the search index of the model."""

    def __init__(
        self,
        session: AsyncSession,
        user: User | None = None,
        permissions: AbstractSet[tuple[str, str]] = frozenset(),
        team: Team | None = None,
    ) -> None:
        self.session = session
        self.user = user
        self.permissions = permissions
        self.team = team
        self.row_permissions = RowPermissions(self.definition, user, permissions, team)

    @classmethod
    def identity(cls) -> str:
        """Return the name of the model in permissions and in the admin's URLs."""
        return identity_of(cls.model)

    # Permissions

    def may(self, action: str) -> bool:
        """Return whether the user may do an action on any row. `readable` and `writable` say on which rows.

        Args:
            action: `list`, `get`, `create`, `update` or `delete`, or another action of the permissions of groups.
        """
        return self.row_permissions.may(action)

    def require(self, action: str) -> None:
        """Raise Forbidden if the user may not do this action."""
        if not self.may(action):
            raise Forbidden

    def readable(self) -> ColumnElement[bool]:
        """Return the condition for rows that the user may read. Other rows are not found."""
        may_read = any(map(self.may, (*READ_ACTIONS, "update", "delete")))  # a route may name no action
        return self.row_permissions.owned(self.definition.read_permission, "list") if may_read else false()

    def writable(self) -> ColumnElement[bool]:
        """Return the condition for readable rows that the user may change or delete."""
        return self.row_permissions.owned(self.definition.write_permission, "update", "delete")

    def writable_by(self, action: str) -> ColumnElement[bool]:
        """Return the condition for rows that the user may change by `update`, or delete by `delete`."""
        refuse_renamed_action(action)
        if self.definition.write_permission is not Permission.OWNER_OR_PERMITTED:
            return self.writable()
        return and_(self.writable(), self.row_permissions.owned(Permission.OWNER_OR_PERMITTED, action))

    def visible(self, model: type[Any]) -> ColumnElement[bool]:
        """Return the condition for readable rows of another model. Models without a `Crud` class have no limit."""
        other = self._crud_of(model)
        if other is None:
            return true()
        return other.readable() if other.may("list") else false()

    def _crud_of(self, model: type[Any]) -> "RowAccess | None":
        """Return the data layer of another model for the same user, or None."""
        crud_class = type(self) if model is self.model else default_crud(model)
        return crud_class(self.session, self.user, self.permissions, self.team) if crud_class else None

    def choosable(self, model: type[Any]) -> ColumnElement[bool]:
        """Return the condition for rows of another model that a row may refer to. By default these are readable rows.

        Users are special if their model has no `Crud` class. Superusers and members of groups that may write here can
        choose all of them. Other users can only choose themselves, so that forms do not reveal which accounts exist.
        """
        writes = self.definition.write_permission.depends_on_groups and self.row_permissions.has_permission(
            "create", "update"
        )
        chooses_any_user = writes or (self.user is not None and self.user.is_superuser)
        if model is not User or default_crud(User) or chooses_any_user:
            return self.visible(model)
        return col(User.id) == self.user.id if self.user else false()

    # Fields the user may not see or write

    def hidden_fields(self) -> Collection[str]:
        """Return the fields that this user may neither see nor write, in addition to `exclude`."""
        return ()

    def readonly_fields(self) -> Collection[str]:
        """Return the fields that this user may see but not write, in addition to `readonly`."""
        return ()

    @cached_property
    def hidden_names(self) -> frozenset[str]:
        """The names that `hidden_fields` returns, and other fields that reveal the same values."""
        rules = self.definition.field_rules
        return rules.complete(HIDDEN, self.hidden_fields()) if rules.hides else NO_FIELDS

    @cached_property
    def locked_names(self) -> frozenset[str]:
        """The fields that this user may not write, including hidden fields."""
        rules = self.definition.field_rules
        return self.hidden_names | rules.complete(READONLY, self.readonly_fields()) if rules.locks else NO_FIELDS

    def hides(self, path: str) -> bool:
        """Return whether a field of this model or of a related row (`author.name`) is hidden from this user."""
        name, _, related_name = path.removeprefix("-").partition(".")
        if name in self.hidden_names or not related_name:
            return name in self.hidden_names
        return related_name in self.hidden_in(self.definition.shape.to_one[name].mapper.class_)

    def hidden_in(self, model: type[Any]) -> frozenset[str]:
        """Return the hidden fields of another model's data layer."""
        other = self._crud_of(model)
        return other.hidden_names if other and other.definition.field_rules.hides else NO_FIELDS

    def hides_parameter(self, name: str) -> bool:
        """Return whether a query parameter belongs to a hidden field."""
        if name == "q":
            return bool(self.search) and not self.search_paths
        filter_ = self.definition.filters.get(name)
        return (filter_.name if filter_ else name) in self.hidden_names

    @property
    def search_paths(self) -> Sequence[str]:
        """The columns that `?q=` searches for this user."""
        return [path for path in self.search if not self.hides(path)]

    @property
    def serializer(self) -> Serializer:
        """The serializer of rows as JSON for this user."""
        return self.definition.serializer_without(self.hidden_names)

    # Statements

    def query(self) -> Select[Any]:
        """Select all rows with their related rows, without permission rules."""
        shape = self.definition.shape
        targets = {name: relation.mapper.class_ for name, relation in shape.to_one.items()} | dict(shape.links)
        options = []
        for name, target in targets.items():
            relation = getattr(shape.model, name)
            condition = self.visible(target)
            is_limited = not isinstance(condition, True_)
            options.append(selectinload(relation.and_(condition) if is_limited else relation))
        return select(self.model).options(*options)

    def conditions(self, query: Paging) -> Iterator[ColumnElement[bool]]:
        """Return the conditions for the search and filters of a query."""
        for name in query.model_fields_set - PAGING:
            value = getattr(query, name)
            if value is not None and value != []:
                yield from self._conditions_of(name, value)

    def _conditions_of(self, name: str, value: Any) -> Iterator[ColumnElement[bool]]:
        definition = self.definition
        if name == TRASH_PARAMETER and definition.has_trash:
            if value:
                yield self.model.deleted_at.is_not(None)
                yield self.writable()
        elif name == CURSOR or (name == LANGUAGES and name not in definition.filter_fields):
            return  # they select no rows
        elif name == "q":
            yield from matching_words(self.searched_attributes(), value, self.visible)
            words, narrowed = self.narrowed_search
            if words == value:
                yield from narrowed
        elif name in definition.filter_methods:
            try:
                yield getattr(self, name)(value)
            except ValueError as error:
                raise FieldErrors({name: str(error)}) from error
        else:
            yield definition.filters[name].condition(self.visible, value)

    def searched_attributes(self) -> Sequence[AttributePath]:
        return [parse_path(self.definition.shape.mapper, path) for path in self.search_paths]

    def column(self, path: str) -> ColumnElement[Any]:
        """Return the expression of an annotation, a column or a column of a related row (`author.name`)."""
        if path in self.definition.annotations:
            return self.definition.annotations[path]
        if "." not in path:
            column: ColumnElement[Any] = getattr(self.model, path)
            return column
        return parse_path(self.definition.shape.mapper, path).value(self.visible)

    def ordering(self, sort: str) -> Sequence[SQLColumnExpression[Any]]:
        """Return the arguments of `order_by`: the requested order, the default order, and the newest first."""
        path = sort.removeprefix("-")
        columns = {path: self._sort_expression(path)} if path in self.sort else {}
        return order(sort, columns, *self.default_order(), self.model.id.desc())

    def default_order(self) -> Sequence[SQLColumnExpression[Any]]:
        """Return the order of a list without `?sort=`."""
        names = {path.removeprefix("-"): path for path in self.order if not self.hides(path)}
        return [order(path, {name: self._sort_expression(name)})[0] for name, path in names.items()]

    def _sort_expression(self, path: str) -> ColumnElement[Any]:
        """Return the expression to sort by. Texts are sorted in lowercase."""
        column = self.column(path)
        if path in self.definition.annotations or not holds_text(column):
            return column
        return func.lower(current_text(column) if is_translated(column) else column)

    def lists_trash(self, query: Paging) -> bool:
        """Return whether a query asks for the rows in the trash."""
        return self.definition.has_trash and getattr(query, TRASH_PARAMETER, False) is True


class RowPermissions:
    """Permissions that follow from the options of a data layer."""

    def __init__(
        self, definition: Definition, user: User | None, permissions: AbstractSet[tuple[str, str]], team: Team | None
    ) -> None:
        self.definition, self.options = definition, definition.crud_class
        self.user, self.permissions, self.team = user, permissions, team

    @property
    def owner_column(self) -> str | None:
        """The column with the owner of new rows: that of the current team, or else that of the user."""
        return self.options.team_column if self._belongs_to_team else self.options.owner_column

    @property
    def owner_id(self) -> int | None:
        """The owner of new rows: the id of the user or of the current team."""
        owner = self.team if self._belongs_to_team else self.user
        return owner.id if owner else None

    @property
    def _belongs_to_team(self) -> bool:
        return self.definition.belongs_to_team or (self.options.team_column is not None and self.team is not None)

    def may(self, action: str) -> bool:
        """Return whether the user may do an action on any row."""
        if role := self.options.team_roles.get(action):
            return self._has_role(role)
        if action in READ_ACTIONS:
            permission = self.definition.read_permission
        elif action in WRITE_ACTIONS:
            permission = self.definition.write_permission
        else:
            refuse_renamed_action(action)
            permission = Permission.PERMITTED
        if permission is Permission.ANYONE:
            return True
        if permission is Permission.SIGNED_IN:
            return self.user is not None
        if permission is not Permission.PERMITTED and self.owner_id is not None:
            return True
        return permission is not Permission.OWNER and self.has_permission(action)

    def _has_role(self, role: str) -> bool:
        """Return whether the user has a role in the current team. Without a team, users may do all with their rows."""
        if self.user is None:
            return False
        return self.options.owner_column is not None if self.team is None else self.team.has_role(role)

    def has_permission(self, *actions: str) -> bool:
        """Return whether the user is a superuser or in a group that may do one of the actions."""
        if self.user is None:
            return False
        identity = identity_of(self.options.model)
        return self.user.is_superuser or any(
            matches_permission(self.permissions, identity, action) for action in actions
        )

    def owned(self, permission: Permission, *actions: str, owner_id: Any = None) -> ColumnElement[bool]:
        """Return the condition for rows of the user. Groups with one of the actions may read all rows.

        `owner_id` is an expression to use instead of the id of the owner.
        """
        if permission not in (Permission.OWNER, Permission.OWNER_OR_PERMITTED) or self.owner_column is None:
            return true()
        if permission is Permission.OWNER_OR_PERMITTED and self.has_permission(*actions):
            return true()
        column: ColumnElement[Any] = getattr(self.options.model, self.owner_column)
        owner_id = self.owner_id if owner_id is None else owner_id
        return false() if owner_id is None else column == owner_id
