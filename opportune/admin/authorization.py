"""Permissions of staff. SQLAdmin checks them for each page, button and menu entry."""

from typing import Any

from sqladmin import BaseView
from sqladmin.authorization import Action, AuthorizationBackend
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.accounts.permissions import matches_permission
from opportune.admin.base import BaseAdminView, has_history
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS


class Authorization(AuthorizationBackend):
    """Checks the permissions that the middleware has read for this request."""

    def has_permission(self, request: Request, identity: str, action: str, obj: Any = None) -> bool:
        return has_staff_permission(request, identity, action)


def has_staff_permission(request: Request, identity: str, action: str) -> bool:
    """Return whether the groups of the user have a permission. The action may have SQLAdmin's name."""
    return matches_permission(request.state.permissions, identity, RENAMED_ACTIONS.get(action, action))


class SuperuserOnly(BaseView):
    """Base of views that only superusers may open: `class KeyAdmin(SuperuserOnly, AdminView, model=Key)`.

    Permissions of a group do not open these views, not even the wildcard `*`.
    """

    def has_permission(self, request: Request, action: str, obj: Any = None) -> bool:
        return is_superuser(request)


def is_superuser(request: Request) -> bool:
    user: User = request.state.user
    return user.is_superuser


def may_change_user(request: Request, user: User) -> bool:
    """Return whether the current user may change this user.

    Only superusers change staff, because a new password would let one member of staff sign in as another.
    """
    return is_superuser(request) or not user.may_enter_admin


def may_act(request: Request, view: BaseView | BaseAdminView, action: str) -> bool:
    """Return whether the user may open a view and has a permission for its model."""
    return bool(view.is_accessible(request) and view.has_permission(request, action))


def may_edit_any(request: Request, view: BaseAdminView) -> bool:
    return view.can_edit and may_act(request, view, Action.EDIT)


def may_delete_any(request: Request, view: BaseAdminView) -> bool:
    return view.can_delete and may_act(request, view, Action.DELETE)


def may_see_details(request: Request, view: BaseAdminView) -> bool:
    """Return whether the user may open the detail page of rows that the view shows."""
    return view.can_view_details and view.has_permission(request, Action.DETAILS)


def may_see_history(request: Request, view: BaseAdminView) -> bool:
    """Return whether the user may see the history of rows that the view shows."""
    return has_history(view) and may_act(request, view, Action.DETAILS)


async def may_create(request: Request, view: BaseAdminView) -> bool:
    """Return whether the user may add rows. `can_create` also limits views that override `check_can_create`."""
    return view.can_create and await view.check_can_create(request)


async def may_list(request: Request, view: BaseAdminView | None) -> bool:
    """Return whether the user may search the rows of a model. Without a view only superusers may."""
    if view is None:
        return is_superuser(request)
    return view.is_accessible(request) and await view.check_can_list(request)


async def may_see_titles(request: Request, view: BaseAdminView | None) -> bool:
    """Return whether the user may see the titles of rows in the view's query, if they already know the ids."""
    if await may_list(request, view):
        return True
    return view is not None and view.is_accessible(request) and bool(page_of_row(request, view))


def page_of_row(request: Request, view: BaseAdminView) -> str:
    """Return the first page of rows that the user may open: `details`, `edit` or an empty text."""
    if may_see_details(request, view):
        return "details"
    return "edit" if view.can_edit and view.has_permission(request, Action.EDIT) else ""


async def may_look_up(request: Request, view: BaseAdminView, lookup: Any) -> bool:
    """Return whether the user may search the target rows of a column: list them and use the column."""
    if not (may_edit_any(request, view) or await view.check_can_create(request) or await view.check_can_list(request)):
        return False
    return await may_list(request, lookup.view if lookup else view)
