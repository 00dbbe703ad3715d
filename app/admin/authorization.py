"""What those who are in may do, in SQLAdmin's own terms: it asks for every page, button and entry of the menu."""

from typing import TYPE_CHECKING, Any

from sqladmin import BaseView
from sqladmin.authorization import Action, AuthorizationBackend, matches_grant
from sqladmin.contrib.rbac import build_permission_rows
from starlette.requests import Request

from app.accounts.models import User

if TYPE_CHECKING:
    from app.admin.references import Lookup
    from app.admin.site import Site
    from app.admin.views import AdminView


class Authorization(AuthorizationBackend):
    """The grants that the gate has read for this request."""

    def has_permission(self, request: Request, identity: str, action: str, obj: Any = None) -> bool:
        return holds(request, identity, action)


def holds(request: Request, identity: str, action: str) -> bool:
    return matches_grant(request.state.grants, identity, action)


class ForSuperusers(BaseView):
    """What no grant opens, not even `*`: `class KeyAdmin(ForSuperusers, AdminView, model=Key)`."""

    def has_permission(self, request: Request, action: str, obj: Any = None) -> bool:
        return is_superuser(request)


def is_superuser(request: Request) -> bool:
    user: User = request.state.user
    return user.is_superuser


def may_touch(request: Request, user: User) -> bool:
    """Whether one may change this user: who could set a colleague's password could act as the colleague."""
    return is_superuser(request) or not (user.is_superuser or user.is_staff)


def grantable(site: "Site", request: Request) -> list[Any]:
    """Rows of a permission matrix: what this person holds, and so may give to others."""
    views = {view.identity: view for view in site.views}
    offered = []
    for row in build_permission_rows(site):
        view = views[row.identity]
        choices = [choice for choice in row.choices if view.has_permission(request, choice.value.split(":", 1)[1])]
        if choices and not isinstance(view, ForSuperusers):
            offered.append(type(row)(row.identity, row.label, choices))
    return offered


async def may_look_up(request: Request, view: "AdminView", lookup: "Lookup | None") -> bool:
    """Whether somebody may search the rows that a column of the view points at.

    A form cannot be filled in without. For the filter of a list one must be allowed to list them anyway.
    """
    if await view.check_can_create(request) or (view.can_edit and view.has_permission(request, Action.EDIT)):
        return True
    target = view._admin_ref.view_of(lookup.model) if lookup else view
    return await view.check_can_list(request) and target is not None and await target.check_can_list(request)
