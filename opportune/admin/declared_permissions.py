"""Permissions that groups and routes of features can name. Each name that does not exist has a message."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from fastapi.routing import APIRoute

from opportune.accounts.permissions import ACTIONS, WILDCARD, ViewPermissions, identity_of
from opportune.errors import OperatorError
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.errors.renamed_names import renamed_to
from opportune.errors.suggestions import did_you_mean
from opportune.feature import Feature
from opportune.web.routing.api_router import listed_routes, with_dependencies

MAX_GROUP_NAME = 150


class DeclaredPermissions:
    """Permissions of a site with these features, at `app.state.declared_permissions`."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = features

    @cached_property
    def actions(self) -> Mapping[str, set[str]]:
        """Actions that a group can have, by the identity of models and pages."""
        actions = {name: {*ACTIONS} for name in self._models}
        for view in self._views:
            actions[view.identity] = actions.get(view.identity, set()) | {*ACTIONS} | view.custom_actions
        return actions

    @cached_property
    def _models(self) -> set[str]:
        return {identity_of(model) for feature in self.features for model in feature.models}

    @cached_property
    def _views(self) -> Sequence[ViewPermissions]:
        from opportune.admin.view_classes import views_with_permissions  # SQLAdmin and forms import slowly

        return list(views_with_permissions(self.features))

    def has_view(self, identity: str) -> bool:
        """Return whether the admin has a view with this identity."""
        return any(view.identity == identity for view in self._views)

    def require(self, identity: str, action: str) -> None:
        """Raise OperatorError if the permission does not exist, with a suggestion."""
        if fault := self.find_fault(identity, action):
            raise OperatorError(fault)

    def find_fault(self, identity: str, action: str) -> str | None:
        """Return why this permission does not exist, in one line; None if it exists."""
        if identity in self._models and action in ACTIONS:  # needs no views, which import slowly
            return None
        fault = self._find_fault_of_names(identity, action)
        return f"may({identity!r}, {action!r}): {fault}" if fault else None

    def require_existing(self) -> None:
        """Raise OperatorError for the first unknown permission of a group or a route."""
        if fault := next(self.faults(), None):
            raise OperatorError(fault)

    def shipped_permissions(self) -> Mapping[str, set[tuple[str, str]]]:
        """Permissions that features ship, by group: pairs of a model and an action that exist on this site."""
        shipped: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for feature in self.features:
            for group, permissions in feature.accounts.groups.items():
                for identity, actions in permissions.items():
                    shipped[group] |= {(identity, action) for action in self._select(identity, _as_list(actions))}
        return shipped

    def _select(self, identity: str, requested: Sequence[str]) -> set[str]:
        """Return those of the requested actions that exist on this site."""
        existing = self.actions.get(identity, set())
        return existing if WILDCARD in requested else existing & {*requested}

    def faults(self) -> Iterator[str]:
        """Yield a line for each unknown permission of a group or a route."""
        yield from self._find_group_faults()
        yield from self._find_route_faults()

    def _find_group_faults(self) -> Iterator[str]:
        for feature in self.features:
            for group, permissions in feature.accounts.groups.items():
                location = f"Feature({feature.name!r}, accounts=Accounts(groups=…)): {group}"
                if not (0 < len(group.strip()) <= MAX_GROUP_NAME and permissions):
                    yield f"{location}: a group needs a name of at most {MAX_GROUP_NAME} characters and a model."
                for identity, actions in permissions.items():
                    for fault in self._find_faults_of_model(identity, _as_list(actions)):
                        yield f"{location}: {fault}"

    def _find_faults_of_model(self, identity: str, actions: Sequence[str]) -> Iterator[str]:
        """Yield a message about the model, or about each unknown action of a group. A group needs an action."""
        if any(view.identity == identity and view.is_superuser_only for view in self._views):
            yield f"{identity} is for superusers only."
        else:
            faults = [self._find_fault_of_names(identity, action) for action in actions or [""]]
            yield from filter(None, dict.fromkeys(faults))

    def _find_route_faults(self) -> Iterator[str]:
        for feature in self.features:
            for path, identity, action in _route_permissions(feature):
                if fault := self.find_fault(identity, action):
                    yield f"{path}: {fault}"

    def _find_fault_of_names(self, identity: str, action: str) -> str | None:
        actions = self.actions.get(identity)
        if actions is None:
            return f"there is no model {identity!r} in an installed feature.{did_you_mean(identity, self.actions)}"
        if action in actions or action == WILDCARD:
            return None
        return _describe_unknown_action(identity, action, actions)


def _describe_unknown_action(identity: str, action: str, actions: set[str]) -> str:
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
