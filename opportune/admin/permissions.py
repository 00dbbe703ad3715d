"""What can be granted: the names of models and pages, and what may be done with each; names of nothing are told."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import chain, starmap
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from opportune.accounts.groups.grants import ACTIONS, WILDCARD, identity_of
from opportune.accounts.groups.permissions import needs
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.runtime.suggestions import did_you_mean
from opportune.web.routing import several

MAX_GROUP_NAME = 150


class Permissions:
    """Of a site with these features. Is at `app.state.permissions`."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = features

    @cached_property
    def actions(self) -> Mapping[str, AbstractSet[str]]:
        """What can be granted, by the names of models and pages as in the admin's addresses."""
        from opportune.admin.sqladmin_adapter import action_slugs  # noqa: PLC0415 - as in `_view_classes`

        known: dict[str, set[str]] = {name: set(ACTIONS) for name in self._models}
        for view in self._view_classes:
            if view.identity:
                slugs = {f"action:{slug}" for slug in action_slugs(view)}
                known[view.identity] = known.get(view.identity, set()) | set(ACTIONS) | slugs
        return known

    @cached_property
    def _models(self) -> AbstractSet[str]:
        return {identity_of(model) for feature in self.features for model in feature.models}

    @property
    def _view_classes(self) -> Iterator[Any]:
        from opportune.admin.site import view_classes  # noqa: PLC0415 - the admin: a start that needs it not is shorter

        return (view for view, _ in view_classes(self.features))

    def require(self, identity: str, action: str) -> None:
        """Raise OperatorError where nobody can be granted this, with the name that was meant."""
        if fault := self.fault(identity, action):
            raise OperatorError(fault)

    def fault(self, identity: str, action: str) -> str:
        """What is wrong with asking whether somebody may do this, in a line; empty if it can be granted."""
        if (identity in self._models and action in ACTIONS) or action in self.actions.get(identity, ()):
            return ""
        return f"may({identity!r}, {action!r}): {fault}" if (fault := self._fault(identity, action)) else ""

    def require_known(self) -> None:
        """Raise OperatorError for the first name of nothing in a group or a route."""
        # Which routes ask is found out only where one asks for what is not there: it means to analyse them all.
        routes = self._route_faults() if any(starmap(self.fault, needs)) else ()
        if fault := next(chain(self._group_faults(), routes), ""):
            raise OperatorError(fault)

    def shipped_grants(self) -> Mapping[str, AbstractSet[tuple[str, str]]]:
        """What features ship, by group: pairs of a model and an action. What no installed model has is left out."""
        found: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for group, identity, actions in self._shipped():
            known = self.actions.get(identity, set())
            found[group] |= {(identity, action) for action in known if action in actions or WILDCARD in actions}
        return found

    def faults(self) -> Iterator[str]:
        """A line for each group of a feature, and each need of a route, that names something which is not there."""
        yield from self._group_faults()
        yield from self._route_faults()

    def _group_faults(self) -> Iterator[str]:
        for feature in self.features:
            for group, grants in feature.groups.items():
                place = f"Feature({feature.name!r}, groups=…): {group}"
                if not (0 < len(group.strip()) <= MAX_GROUP_NAME and grants):
                    yield f"{place}: a group has a name of at most {MAX_GROUP_NAME} characters, and a model."
                for identity, actions in grants.items():
                    faults = (self._group_fault(identity, action) for action in _several(actions) or [""])
                    yield from (f"{place}: {fault}" for fault in dict.fromkeys(faults) if fault)

    def _route_faults(self) -> Iterator[str]:
        for feature in self.features:
            for path, identity, action in _needs(feature):
                if fault := self.fault(identity, action):
                    yield f"{path}: {fault}"

    def _shipped(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """Group, model and actions."""
        for feature in self.features:
            for group, grants in feature.groups.items():
                yield from ((group, identity, _several(actions)) for identity, actions in grants.items())

    def _group_fault(self, identity: str, action: str) -> str:
        from opportune.admin.authorization import SuperuserOnly  # noqa: PLC0415 - as in `_view_classes`

        if any(view.identity == identity and issubclass(view, SuperuserOnly) for view in self._view_classes):
            return f"{identity} is for superusers alone."
        return self._fault(identity, action)

    def _fault(self, identity: str, action: str) -> str:
        known = self.actions.get(identity)
        if known is None:
            return f"there is no model {identity!r} in an installed feature.{did_you_mean(identity, self.actions)}"
        if action not in known and action != WILDCARD:
            return f"{identity} has no action {action!r}: {', '.join(sorted(known))}.{did_you_mean(action, known)}"
        return ""


def _several(actions: str | Sequence[str]) -> Sequence[str]:
    return [actions] if isinstance(actions, str) else actions


def _needs(feature: Feature) -> Iterator[tuple[str, str, str]]:
    """The path of each route that says what its visitors may, and what."""
    for routers in (feature.pages, feature.api):
        for router in several(routers):
            for route in router.routes:
                if isinstance(route, APIRoute):
                    yield from ((route.path, *need) for need in _needs_of(route.dependant))


def _needs_of(dependant: Dependant) -> Iterator[tuple[str, str]]:
    for each in dependant.dependencies:
        if need := getattr(each.call, "permission", None):
            yield need
        yield from _needs_of(each)
