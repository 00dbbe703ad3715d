"""Rows and fields of a model that one user may see and write: the rules of a `Crud` class.

Projects override the public methods of `RowAccess`.
"""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, and_, false, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.permissions import identity_of, refuse_renamed_action
from opportune.crud.definition import Definition
from opportune.crud.field_rules import HIDDEN, NO_FIELDS, READONLY
from opportune.crud.options import CrudOptions, Permission
from opportune.crud.registry import Team, default_crud
from opportune.crud.row_permissions import READ_ACTIONS, RowPermissions
from opportune.crud.serializer import Serializer
from opportune.errors import Forbidden


class RowAccess(CrudOptions):
    """The rules of a data layer for one user. `Crud` reads and writes rows by them."""

    definition: ClassVar[Definition]

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
        return self.row_permissions.owner_condition(self.definition.read_permission, "list") if may_read else false()

    def writable(self) -> ColumnElement[bool]:
        """Return the condition for readable rows that the user may change or delete."""
        return self.row_permissions.owner_condition(self.definition.write_permission, "update", "delete")

    def writable_by(self, action: str) -> ColumnElement[bool]:
        """Return the condition for rows that the user may change by `update`, or delete by `delete`."""
        refuse_renamed_action(action)
        if self.definition.write_permission is not Permission.OWNER_OR_PERMITTED:
            return self.writable()
        return and_(self.writable(), self.row_permissions.owner_condition(Permission.OWNER_OR_PERMITTED, action))

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
        if model is not User or default_crud(User) or self._may_choose_any_user():
            return self.visible(model)
        return col(User.id) == self.user.id if self.user else false()

    def _may_choose_any_user(self) -> bool:
        if self.user is not None and self.user.is_superuser and self.user.is_active:
            return True
        depends_on_groups = self.definition.write_permission.depends_on_groups
        return depends_on_groups and self.row_permissions.has_permission("create", "update")

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
        return related_name in self.hidden_names_of(self.definition.shape.to_one[name].mapper.class_)

    def hidden_names_of(self, model: type[Any]) -> frozenset[str]:
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
