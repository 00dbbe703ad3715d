"""Permissions. Superusers may do everything. Other users have the permissions of their groups.

The permissions are loaded for each request.
"""

import re
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import product
from typing import Any, NamedTuple, cast

from fastapi import Depends, HTTPException
from jinja2 import pass_context
from jinja2.runtime import Context
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import HTTPConnection

from opportune.accounts.dependencies import CurrentUser, get_optional_user
from opportune.accounts.models import GroupPermission, Membership, User
from opportune.accounts.sessions.lookup import ALL_PERMISSIONS, PermissionSet
from opportune.db.sessions.dependencies import on_site
from opportune.errors import OperatorError
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.errors.renamed_names import renamed_to

ACTIONS = ("list", "get", "create", "update", "delete", "export", "import")
WILDCARD = "*"


class ViewPermissions(NamedTuple):
    """Permissions of one view of the admin. All views have `ACTIONS`."""

    identity: str
    custom_actions: AbstractSet[str]
    is_superuser_only: bool
    """Whether groups cannot have them."""


FORBIDDEN: dict[int | str, dict[str, Any]] = {403: {"description": "You may not do this."}}  # not translated
"""Responses for the OpenAPI page: `@router.get("", responses=FORBIDDEN)`."""


def identity_of(model: type[Any]) -> str:
    """Return a model's identity in URLs: `book-tag` for `BookTag`."""
    return _hyphenate(model.__name__)


@cache
def _hyphenate(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1-\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", words).lower()


def matches_permission(permissions: AbstractSet[tuple[str, str]], identity: str, action: str) -> bool:
    return not permissions.isdisjoint(product((identity, WILDCARD), (action, WILDCARD)))


def refuse_renamed_action(action: str) -> None:
    """Raise OperatorError for an action that had another name until 0.2."""
    if action in RENAMED_ACTIONS:
        raise OperatorError(f"There is no action {action!r}.{renamed_to(action, RENAMED_ACTIONS)}")


async def get_permissions(request: HTTPConnection) -> PermissionSet:
    """Return the permissions of the request's user, which are loaded with the user."""
    await get_optional_user(request)
    return cast("PermissionSet", request.state.permissions)


async def read_permissions(session: AsyncSession, user: User | None) -> PermissionSet:
    """Return the permissions of a user, for jobs and commands.

    Args:
        session: A session of the site's database.
        user: The user. None and deactivated users have no permissions.

    Returns:
        Pairs of a model and an action.
    """
    if user is None or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return ALL_PERMISSIONS
    statement = (
        select(col(GroupPermission.identity), col(GroupPermission.action))
        .join(Membership, col(Membership.group_id) == col(GroupPermission.group_id))
        .where(col(Membership.user_id) == user.id)
    )
    return frozenset((identity, action) for identity, action in await session.execute(statement))


def may(identity: str, action: str) -> Any:
    """Require a permission in a route's signature: `user: Annotated[User, may("todo", "export")]`.

    Args:
        identity: The model as in the admin's URLs, such as `book-loan`.
        action: `list`, `get`, `create`, `update`, `delete`, `export`, `import`, or `action:NAME`.

    Returns:
        A dependency. Anonymous visitors are asked to sign in, other users get 403.
    """

    async def require_permission(request: HTTPConnection, user: CurrentUser) -> User:
        if not has_permission(request, identity, action):
            raise HTTPException(403)
        return user

    require_permission.permission = (identity, action)  # type: ignore[attr-defined]  # read by the list of routes
    return Depends(require_permission)


def has_permission(request: HTTPConnection, identity: str, action: str) -> bool:
    """Return whether the user of a request has a permission. Templates call it as `may("todo", "export")`.

    Raises:
        OperatorError: The model or the action does not exist.
    """
    on_site(request).app.state.declared_permissions.require(identity, action)
    return matches_permission(getattr(request.state, "permissions", set()), identity, action)


@pass_context
def may_in_template(context: Context, identity: str, action: str) -> bool:
    if "request" not in context:
        raise OperatorError("may() has no request in this macro. Import the macro `with context`.")
    return has_permission(context["request"], identity, action)
