"""SQL that creates the groups that features ship.

`migrate` adds each shipped permission once, and keeps later changes in the admin.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, Executable, exists, insert, inspect, literal, select
from sqlmodel import col

from opportune.accounts.models import Group, GroupPermission, ShippedPermission
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.project.installed import installed_features

SHIPPED_TABLE = ShippedPermission.__table__  # type: ignore[attr-defined]  # SQLModel's


def shipped_group_statements(connection: Connection) -> list[Executable]:
    """Return the statements that create groups and permissions that were never created before."""
    features = installed_features()
    ships_groups = any(feature.accounts.groups for feature in features)
    if not ships_groups or not inspect(connection).has_table(SHIPPED_TABLE.name):
        return []
    return list(_statements(connection, DeclaredPermissions(features).shipped_permissions()))


def _statements(connection: Connection, shipped: Mapping[str, AbstractSet[tuple[str, str]]]) -> Iterator[Executable]:
    """Yield the statements. A shipped group that was deleted or renamed is not created again."""
    columns = SHIPPED_TABLE.c.group_name, SHIPPED_TABLE.c.identity, SHIPPED_TABLE.c.action
    shipped_before = {(name, identity, action) for name, identity, action in connection.execute(select(*columns))}
    existing = {name for name, _, _ in shipped_before}
    for name, permissions in shipped.items():
        has_name = exists().where(col(Group.name) == name)
        if permissions and name not in existing:
            yield insert(Group).from_select(["name"], select(literal(name)).where(~has_name))
        for identity, action in sorted(permissions):
            if (name, identity, action) not in shipped_before:
                yield _permission_statement(name, identity, action)
                yield insert(ShippedPermission).values(group_name=name, identity=identity, action=action)


def _permission_statement(name: str, identity: str, action: str) -> Executable:
    has_permission = exists().where(
        col(GroupPermission.group_id) == col(Group.id),
        col(GroupPermission.identity) == identity,
        col(GroupPermission.action).in_((action, "*")),
    )
    group = select(col(Group.id), literal(identity), literal(action)).where(col(Group.name) == name, ~has_permission)
    return insert(GroupPermission).from_select(["group_id", "identity", "action"], group)
