"""Permissions of staff for SQLAdmin, which checks them for each page, button and menu entry."""

from typing import Any

from sqladmin import BaseView
from sqladmin.authorization import Action, AuthorizationBackend
from starlette.requests import Request

from opportune.accounts.groups.grants import matches_grant
from opportune.accounts.models import User
from opportune.admin.protocols import Lookup, Pages, Site, View


class Authorization(AuthorizationBackend):
    """Grants that the middleware has read for this request."""

    def has_permission(self, request: Request, identity: str, action: str, obj: Any = None) -> bool:
        return has_grant(request, identity, action)


def has_grant(request: Request, identity: str, action: str) -> bool:
    return matches_grant(request.state.grants, identity, action)


class SuperuserOnly(BaseView):
    """Views that no grant opens, not even `*`: `class KeyAdmin(SuperuserOnly, AdminView, model=Key)`."""

    def has_permission(self, request: Request, action: str, obj: Any = None) -> bool:
        return is_superuser(request)


def is_superuser(request: Request) -> bool:
    user: User = request.state.user
    return user.is_superuser


def may_change_user(request: Request, user: User) -> bool:
    """Return whether this user may be changed. Staff who set a colleague's password could act as the colleague."""
    return is_superuser(request) or not (user.is_superuser or user.is_staff)


async def may_list(request: Request, view: Pages | None) -> bool:
    """Return whether the user may search the rows of a model. Without a view only superusers may."""
    if view is None:
        return is_superuser(request)
    return view.is_accessible(request) and await view.check_can_list(request)


async def may_see(request: Request, view: Pages | None) -> bool:
    """Return whether the user may see the title of a row whose id they have, if the view's query contains it."""
    if view is None or await may_list(request, view):
        return await may_list(request, view)
    opened = (view.can_view_details, Action.DETAILS), (view.can_edit, Action.EDIT)
    return view.is_accessible(request) and any(may and view.has_permission(request, action) for may, action in opened)


async def may_look_up(request: Request, view: View, lookup: Lookup | None) -> bool:
    """Return whether the user may search the rows that a column points at: they may list them and use the column."""
    is_used = (
        await view.check_can_create(request)
        or (view.can_edit and view.has_permission(request, Action.EDIT))
        or await view.check_can_list(request)
    )
    return is_used and await may_list(request, lookup.view if lookup else view)


def models_with_permission(request: Request, site: Site, action: str) -> set[str] | None:
    """Return the models whose rows the user may act on. None means all, including removed models."""
    if is_superuser(request):
        return None
    return {view.identity for view in site.views if view.has_permission(request, action)}
