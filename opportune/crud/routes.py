"""Routes of a data layer: dependencies (`books: Annotated[Books, reading(Books)]`) and path parameters."""

from functools import cache
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Path, Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import get_current_user, get_optional_user
from opportune.accounts.models import User
from opportune.accounts.permissions import ACTIONS, get_permissions, identity_of
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.crud.crud import Crud
from opportune.crud.options import Permission
from opportune.crud.registry import Team
from opportune.crud.row_permissions import WRITE_ACTIONS, permission_of
from opportune.db.models.row_ids import MAX_ID, RowKey
from opportune.db.sessions.dependencies import read_session, write_session

C = TypeVar("C", bound=Crud[Any])

# FastAPI solves each dependency in 28 calls, so the data layer calls the other functions that it needs itself.
_SignedInUser = Annotated[User | None, Depends(get_current_user)]


@cache
def reading(crud_class: type[C], action: str = "") -> Any:
    """Return a dependency that creates a data layer for the current user, for a route that only reads.

    Tests can override it: `app.dependency_overrides[reading(Books).dependency] = ...`.

    Args:
        crud_class: The data layer, such as `Books`.
        action: Permission that the route needs, such as `list` or `export`. Users without it get 403, and anonymous
            visitors are sent to the sign-in page.

    Returns:
        The dependency: `books: Annotated[Books, reading(Books, "list")]`.
    """
    return _depends_on(crud_class, action, read_session)


@cache
def writing(crud_class: type[C], action: str = "") -> Any:
    """Return a dependency like `reading`, for a route that writes. The changes are committed before the response.

    Args:
        crud_class: The data layer, such as `Books`.
        action: Permission that the route needs, such as `update`.

    Returns:
        The dependency: `books: Annotated[Books, writing(Books, "update")]`.
    """
    return _depends_on(crud_class, action, write_session)


def _depends_on(crud_class: type[Crud[Any]], action: str, open_session: Any) -> Any:
    writes = open_session is write_session
    actions = {action or "create", "create"} if writes else {action or "list"}
    permissions = {permission_of(crud_class.definition, name) for name in actions}

    async def open_for_all(request: Request) -> Crud[Any]:
        return await open_for_users(request, await get_optional_user(request))

    async def open_for_users(request: Request, user: _SignedInUser) -> Crud[Any]:
        return await open_crud(crud_class, request, await open_session(request), user, action, writes=writes)

    is_open = permissions == {Permission.ANYONE} and action not in crud_class.team_roles
    call: Any = open_for_all if is_open else open_for_users
    call.session = open_session  # read by tools: those that write need an approval
    if action and action not in {*ACTIONS, *crud_class.team_roles}:
        call.permission = (identity_of(crud_class.model), action)  # read by `check`
    return Depends(call)


async def open_crud(
    crud_class: type[C],
    request: Request,
    session: AsyncSession,
    user: User | None,
    action: str = "",
    *,
    writes: bool = False,
) -> C:
    """Create a data layer for a user, with the permissions and the team that its rules need.

    Raises:
        HTTPException: The user may not do the action, or has to sign in first.
    """
    needs_permissions = user is not None and not user.is_superuser and crud_class.needs_permissions()
    permissions = await get_permissions(request) if needs_permissions else frozenset()
    team: Team | None = None
    if user and (owners := crud_class.team_owners()):
        definition = crud_class.definition
        permission = definition.write_permission if writes or action in WRITE_ACTIONS else definition.read_permission
        needs_team = definition.belongs_to_team and permission is Permission.OWNER
        team = await owners.find(request, session, needs_team, writes)
    crud = crud_class(session, user, permissions, team)
    if action and not crud.may(action):
        raise make_sign_in_error(request) if user is None else HTTPException(403)
    return crud


def path_parameter_name(crud_class: type[Crud[Any]]) -> str:
    """Return the name of the path parameter: `book_id`, or the `lookup` column such as `slug`."""
    return f"{crud_class.identity().replace('-', '_')}_id" if crud_class.lookup == "id" else crud_class.lookup


def path_parameter_type(crud_class: type[Crud[Any]]) -> Any:
    """Return the annotation of the path parameter `key` of a route."""
    if crud_class.lookup == "id":
        return Annotated[RowKey, Path(ge=1, le=MAX_ID, alias=path_parameter_name(crud_class))]
    return Annotated[str, Path(alias=path_parameter_name(crud_class))]


def set_route_types(crud_class: type[Crud[Any]], route: Any, **types: Any) -> Any:
    """Set a route's parameter types, which are derived at run time, and the module that `oppman.py routes` shows."""
    route.__annotations__ |= types
    route.__module__ = crud_class.__module__
    return route
