"""Groups that features ship. `migrate` creates each grant once and keeps later changes in the admin."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, Executable, exists, insert, inspect, literal, select
from sqlmodel import col

from opportune.accounts.models import Grant, Group, ShippedGrant
from opportune.admin.permissions import Permissions
from opportune.project.layout import installed_features

TABLE = ShippedGrant.__table__  # type: ignore[attr-defined]  # SQLModel's


def shipped_group_statements(connection: Connection) -> list[Executable]:
    """Return the statements that create groups and grants that were never created before."""
    features = installed_features()
    if not any(feature.accounts.groups for feature in features) or not inspect(connection).has_table(TABLE.name):
        return []

    return list(statements(connection, Permissions(features).shipped_grants()))


def statements(connection: Connection, shipped: Mapping[str, AbstractSet[tuple[str, str]]]) -> Iterator[Executable]:
    """Yield the statements. A shipped group that was deleted or renamed is not created again."""
    columns = TABLE.c.group_name, TABLE.c.identity, TABLE.c.action
    shipped_before = {(name, identity, action) for name, identity, action in connection.execute(select(*columns))}
    existing = {name for name, _, _ in shipped_before}
    for name, grants in shipped.items():
        has_name = exists().where(col(Group.name) == name)
        if grants and name not in existing:
            yield insert(Group).from_select(["name"], select(literal(name)).where(~has_name))
        for identity, action in sorted(grants):
            if (name, identity, action) not in shipped_before:
                yield _grant_statement(name, identity, action)
                yield insert(ShippedGrant).values(group_name=name, identity=identity, action=action)


def _grant_statement(name: str, identity: str, action: str) -> Executable:
    has_grant = exists().where(
        col(Grant.group_id) == col(Group.id), col(Grant.identity) == identity, col(Grant.action).in_((action, "*"))
    )
    group = select(col(Group.id), literal(identity), literal(action)).where(col(Group.name) == name, ~has_grant)
    return insert(Grant).from_select(["group_id", "identity", "action"], group)
