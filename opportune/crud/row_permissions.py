"""Permissions of a user for rows, which follow from the options of a `Crud` class."""

from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import ColumnElement, false, true

from opportune.accounts.models import User
from opportune.accounts.permissions import identity_of, matches_permission, refuse_renamed_action
from opportune.crud.definition import Definition
from opportune.crud.options import Permission
from opportune.crud.registry import Team

READ_ACTIONS = {"list", "get"}
WRITE_ACTIONS = {"create", "update", "delete"}


def permission_of(definition: Definition, action: str) -> Permission:
    """Return the users who may do an action. Actions other than reading and writing need a permission of groups."""
    if action in READ_ACTIONS:
        return definition.read_permission
    if action in WRITE_ACTIONS:
        return definition.write_permission
    refuse_renamed_action(action)
    return Permission.PERMITTED


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
        permission = permission_of(self.definition, action)
        if permission in (Permission.ANYONE, Permission.SIGNED_IN):
            return permission is Permission.ANYONE or self.user is not None
        if permission is not Permission.PERMITTED and self.owner_id is not None:
            return True
        return permission is not Permission.OWNER and self.has_permission(action)

    def _has_role(self, role: str) -> bool:
        """Return whether the user has a role in the current team. Without a team, users may do all with their rows."""
        if self.user is None:
            return False
        return self.options.owner_column is not None if self.team is None else self.team.has_role(role)

    def has_permission(self, *actions: str) -> bool:
        """Return whether the user is a superuser or in a group that may do one of the actions, and active."""
        if self.user is None or not self.user.is_active:
            return False
        identity = identity_of(self.options.model)
        return self.user.is_superuser or any(
            matches_permission(self.permissions, identity, action) for action in actions
        )

    def owner_condition(self, permission: Permission, *actions: str, owner_id: Any = None) -> ColumnElement[bool]:
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
