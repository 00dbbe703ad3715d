"""The data layer in a route's signature: `books: Annotated[Books, reading(Books)]`."""

from functools import cache
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import get_current_user, get_optional_user, sign_in_required
from opportune.accounts.groups.permissions import get_grants
from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.crud import Crud
from opportune.crud.options import WRITING
from opportune.crud.teams import Team
from opportune.db.sessions.dependencies import ReadSession, WriteSession

C = TypeVar("C", bound=Crud[Any])


@cache
def reading(kind: type[C], action: str = "") -> Any:
    """The rows as whoever sends the request may read them, for a route that changes nothing.

    Where somebody has to be known, others are asked who they are. Who may not do the `action` is answered 403.
    Tests put another class in its place: `app.dependency_overrides[reading(Books).dependency] = …`.
    """
    who = _who(kind.definition.read_access)

    async def read(request: Request, session: ReadSession, user: Annotated[User | None, Depends(who)]) -> C:
        return await open_crud(kind, request, session, user, action)

    return Depends(read)


@cache
def writing(kind: type[C], action: str = "") -> Any:
    """The rows as whoever sends the request may change them; as `reading`, for a route that does."""
    who = _who(kind.definition.write_access)

    async def write(request: Request, session: WriteSession, user: Annotated[User | None, Depends(who)]) -> C:
        return await open_crud(kind, request, session, user, action, writes=True)

    return Depends(write)


def _who(access: Access) -> Any:
    return get_optional_user if access is Access.ANYONE else get_current_user


async def open_crud(
    kind: type[C], request: Request, session: AsyncSession, user: User | None, action: str = "", *, writes: bool = False
) -> C:
    """The rows as somebody has them, who has been asked who they are where that matters."""
    is_asked = user is not None and not user.is_superuser and kind.asks_grants()
    grants = await get_grants(request) if is_asked else frozenset()
    crud = kind(session, user, grants, await _find_team(kind, request, session, user, action, writes))
    if action and not crud.may(action):
        raise sign_in_required(request) if user is None else HTTPException(403)
    return crud


async def _find_team(
    kind: type[Crud[Any]], request: Request, session: AsyncSession, user: User | None, action: str, writes: bool
) -> Team | None:
    owners = kind.team_owners() if user else None
    if owners is None:
        return None
    changes = writes or action in WRITING
    access = kind.definition.write_access if changes else kind.definition.read_access
    return await owners.find(request, session, kind.definition.is_of_team and access is Access.OWNER, writes)
