"""Groups that features ship. `migrate` makes each grant once; later changes in the admin are kept."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, Executable, exists, insert, inspect, literal, select
from sqlmodel import col

from opportune.accounts.models import Grant, Group, ShippedGrant
from opportune.admin.permissions import Permissions
from opportune.config.project import installed_features

TABLE = ShippedGrant.__table__  # type: ignore[attr-defined]  # SQLModel's


def shipped_group_statements(connection: Connection) -> list[Executable]:
    """Return the statements that make groups and grants which were never made before."""
    features = installed_features()
    if not any(feature.groups for feature in features) or not inspect(connection).has_table(TABLE.name):
        return []

    return list(statements(connection, Permissions(features).shipped_grants()))


def statements(connection: Connection, shipped: Mapping[str, AbstractSet[tuple[str, str]]]) -> Iterator[Executable]:
    """Yield the statements. A shipped group that no longer exists was deleted or renamed, and is not made again."""
    columns = TABLE.c.group_name, TABLE.c.identity, TABLE.c.action
    given = {(name, identity, action) for name, identity, action in connection.execute(select(*columns))}
    known = {name for name, _, _ in given}
    for name, grants in shipped.items():
        is_there = exists().where(col(Group.name) == name)
        if grants and name not in known:
            yield insert(Group).from_select(["name"], select(literal(name)).where(~is_there))
        for identity, action in sorted(grants):
            if (name, identity, action) not in given:
                yield _grant(name, identity, action)
                yield insert(ShippedGrant).values(group_name=name, identity=identity, action=action)


def _grant(name: str, identity: str, action: str) -> Executable:
    has_it = exists().where(
        col(Grant.group_id) == col(Group.id), col(Grant.identity) == identity, col(Grant.action).in_((action, "*"))
    )
    found = select(col(Group.id), literal(identity), literal(action)).where(col(Group.name) == name, ~has_it)
    return insert(Grant).from_select(["group_id", "identity", "action"], found)
