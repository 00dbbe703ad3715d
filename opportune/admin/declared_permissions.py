"""Permissions that groups and routes can name, and the groups that features ship.

Each name that does not exist has a message. `migrate` adds each shipped permission once, and keeps later changes in the
admin.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property

from fastapi.routing import APIRoute
from sqlalchemy import Connection, Executable, exists, insert, inspect, literal, select
from sqlmodel import col

from opportune.accounts.models import Group, GroupPermission, ShippedPermission
from opportune.accounts.permissions import ACTIONS, WILDCARD, identity_of
from opportune.errors import OperatorError
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.errors.renamed_names import renamed_to
from opportune.errors.suggestions import did_you_mean
from opportune.feature import Feature
from opportune.project.installed import installed_features
from opportune.web.routing.api_router import listed_routes, with_dependencies

SHIPPED_TABLE = ShippedPermission.__table__  # type: ignore[attr-defined]  # SQLModel's
MAX_GROUP_NAME = 150


class DeclaredPermissions:
    """Permissions of a site with these features, at `app.state.declared_permissions`."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = features

    @cached_property
    def actions(self) -> Mapping[str, AbstractSet[str]]:
        """Actions that a group can have, by the identity of models and pages."""
        actions: dict[str, set[str]] = {name: set(ACTIONS) for name in self._models}
        for identity, view_actions, _ in self._view_permissions:
            actions[identity] = actions.get(identity, set()) | set(ACTIONS) | view_actions
        return actions

    @cached_property
    def _models(self) -> AbstractSet[str]:
        return {identity_of(model) for feature in self.features for model in feature.models}

    @cached_property
    def _view_permissions(self) -> Sequence[tuple[str, AbstractSet[str], bool]]:
        from opportune.admin.view_classes import views_with_permissions  # SQLAdmin and forms import slowly

        return list(views_with_permissions(self.features))

    def require(self, identity: str, action: str) -> None:
        """Raise OperatorError for an unknown permission, with a suggestion."""
        if fault := self.find_fault(identity, action):
            raise OperatorError(fault)

    def find_fault(self, identity: str, action: str) -> str:
        """Return why this permission does not exist, in one line; empty if it exists."""
        is_common = identity in self._models and action in ACTIONS  # needs no views, which import slowly
        fault = "" if is_common else self._unknown_name(identity, action)
        return f"may({identity!r}, {action!r}): {fault}" if fault else ""

    def require_existing(self) -> None:
        """Raise OperatorError for the first unknown permission of a group or a route."""
        if fault := next(self.faults(), ""):
            raise OperatorError(fault)

    def shipped_permissions(self) -> Mapping[str, AbstractSet[tuple[str, str]]]:
        """Permissions that features ship, by group: pairs of a model and an action that exist on this site."""
        shipped: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for feature in self.features:
            for group, permissions in feature.accounts.groups.items():
                for identity, actions in permissions.items():
                    existing = self.actions.get(identity, set())
                    requested = _as_list(actions)
                    selected = existing if WILDCARD in requested else existing & {*requested}
                    shipped[group] |= {(identity, action) for action in selected}
        return shipped

    def faults(self) -> Iterator[str]:
        """Yield a line for each unknown permission of a group or a route."""
        yield from self._group_faults()
        yield from self._route_faults()

    def _group_faults(self) -> Iterator[str]:
        for feature in self.features:
            for group, permissions in feature.accounts.groups.items():
                location = f"Feature({feature.name!r}, accounts=Accounts(groups=…)): {group}"
                if not (0 < len(group.strip()) <= MAX_GROUP_NAME and permissions):
                    yield f"{location}: a group needs a name of at most {MAX_GROUP_NAME} characters and a model."
                for identity, actions in permissions.items():
                    faults = {self._group_fault(identity, action): None for action in _as_list(actions) or [""]}
                    yield from (f"{location}: {fault}" for fault in faults if fault)

    def _route_faults(self) -> Iterator[str]:
        for feature in self.features:
            for path, identity, action in _route_permissions(feature):
                if fault := self.find_fault(identity, action):
                    yield f"{path}: {fault}"

    def _group_fault(self, identity: str, action: str) -> str:
        if any(name == identity and is_superuser_only for name, _, is_superuser_only in self._view_permissions):
            return f"{identity} is for superusers only."
        return self._unknown_name(identity, action)

    def _unknown_name(self, identity: str, action: str) -> str:
        actions = self.actions.get(identity)
        if actions is None:
            return f"there is no model {identity!r} in an installed feature.{did_you_mean(identity, self.actions)}"
        if action in actions or action == WILDCARD:
            return ""
        names = ", ".join(sorted(actions))
        example = f' @action("{action}", …) in its admin view adds action:{action}.' if action else ""
        advice = renamed_to(action, RENAMED_ACTIONS) or did_you_mean(action, actions) or example
        return f"{identity} has no action {action!r}. There are: {names}.{advice}"


def _as_list(actions: str | Sequence[str]) -> Sequence[str]:
    return [actions] if isinstance(actions, str) else actions


def _route_permissions(feature: Feature) -> Iterator[tuple[str, str, str]]:
    """Yield path, model and action of each route that requires a permission."""
    for route in listed_routes(feature.pages, feature.api, feature.site.routes):
        if isinstance(route, APIRoute):
            for dependency in with_dependencies(route.dependant):
                if permission := getattr(dependency.call, "permission", None):
                    yield route.path, *permission


def shipped_group_statements(connection: Connection) -> list[Executable]:
    """Return the statements that create groups and permissions that were never created before."""
    features = installed_features()
    if not any(feature.accounts.groups for feature in features) or not inspect(connection).has_table(
        SHIPPED_TABLE.name
    ):
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
