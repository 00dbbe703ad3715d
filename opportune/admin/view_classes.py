"""View classes of the admin and of the installed features."""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from sqladmin import BaseView, ModelView

from opportune.accounts.permissions import ViewPermissions
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.options import inlines_without_view, option_faults, shared_identities
from opportune.admin.sqladmin_adapter import action_slugs
from opportune.admin.views import AdminView
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.i18n import LazyText
from opportune.i18n.translation import DerivedLabel
from opportune.project.layout import is_framework_class
from opportune.project.modules import import_existing


def view_classes(features: Sequence[Feature]) -> Iterator[tuple[Any, str]]:
    """Yield each view with the name of its feature. The project's views are first in the menu and on the overview.

    A view that extends a view of the framework takes its place. A view with `of_feature` needs that feature.
    """
    names = {feature.name for feature in features}
    in_order = sorted(features, key=lambda feature: feature.name == "admin")  # its audit log is last
    views = {view: feature.name for feature in in_order for view in views_of(feature)}
    views = {view: feature for view, feature in views.items() if getattr(view, "of_feature", feature) in names}
    framework = [view for view in views if _is_of_framework(view)]
    in_place = dict.fromkeys(_find_replacement(view, views) for view in framework)
    of_project = [view for view in views if view not in framework and view not in in_place]
    yield from ((view, views[view]) for view in (*of_project, *in_place))


def _find_replacement(base: Any, views: Iterable[Any]) -> Any:
    """Return the last view that extends this one and has its URL; without one, the view itself."""
    extending = [view for view in views if view is not base and issubclass(view, base)]
    return next((view for view in reversed(extending) if view.identity == base.identity), base)


def menu_label(view: Any, feature: str) -> LazyText:
    """Return the heading in the menu of a view without a category."""
    label_class = LazyText if _is_of_framework(view) else DerivedLabel
    return label_class(feature.capitalize())


def _is_of_framework(view: Any) -> bool:
    return is_framework_class(view) or is_framework_class(getattr(view, "model", view))


def views_of(feature: Feature) -> Sequence[Any]:
    """Return the views that a feature lists, or the views of its module: its `VIEWS`, or all in their order.

    Raises:
        OperatorError: The module does not exist, or the feature lists a class that is no view.
    """
    views = feature.admin.views
    if not isinstance(views, str):
        if wrong := next((view.__name__ for view in views if not issubclass(view, BaseView)), ""):
            advice = f"Write class {wrong}Admin(AdminView, model={wrong}), and list it."
            raise OperatorError(
                f"Feature({feature.name!r}, admin=Admin([…])) lists {wrong}, which is no view. {advice}"
            )
        return views
    module = import_existing(views)
    if module is None:
        raise OperatorError(f"Feature({feature.name!r}, admin=Admin({views!r})): this module does not exist.")
    if "VIEWS" in vars(module):
        return list(vars(module)["VIEWS"])
    return [value for value in vars(module).values() if _is_view(value) and value.__module__ == module.__name__]


def find_view_errors(views: Sequence[Any]) -> Iterator[str]:
    """Yield a line for each unknown name in the options of views."""
    admin_views = [view for view in views if issubclass(view, AdminView)]
    for view in admin_views:
        yield from option_faults(view, AdminView)
    yield from inlines_without_view(admin_views)
    yield from shared_identities(views)


def views_without_model(feature: Feature) -> Iterator[str]:
    """Yield a line for each view in a feature's module that has no model and is not the base of another view."""
    module = feature.admin.views
    if not (isinstance(module, str) and module):
        return
    for value in vars(import_module(module)).values():
        is_view = isinstance(value, type) and issubclass(value, ModelView) and value.__module__ == module
        if is_view and not hasattr(value, "model") and not value.__subclasses__():
            name = value.__name__
            yield f"{module}: {name} has no model and is not shown. Write class {name}(AdminView, model=…)."


def _is_view(value: object) -> bool:
    """Return whether this is a view class that has pages. A base class of other views has no model."""
    if not (isinstance(value, type) and issubclass(value, BaseView)):
        return False
    return not issubclass(value, ModelView) or hasattr(value, "model")


def views_with_permissions(features: Sequence[Feature]) -> Iterator[ViewPermissions]:
    """Yield the permissions of each view that groups can name."""
    for view, _ in view_classes(features):
        if view.identity:
            custom_actions = {f"action:{slug}" for slug in action_slugs(view)}
            yield ViewPermissions(view.identity, custom_actions, issubclass(view, SuperuserOnly))
