"""What somebody may do: superusers all, the others what their groups are granted, read afresh for each request."""

from collections.abc import Set as AbstractSet
from typing import Any

from fastapi import Depends, HTTPException, Request
from sqladmin.authorization import WILDCARD, matches_grant
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.dependencies import CurrentUser, get_optional_user
from opportune.accounts.models import Grant, Membership, User

Grants = AbstractSet[tuple[str, str]]
"""Pairs of a model's name in the admin's addresses and an action; `*` stands for all of them."""

FORBIDDEN: dict[int | str, dict[str, Any]] = {403: {"description": "You may not do this."}}
"""For the OpenAPI page: `@router.get("", responses=FORBIDDEN)`."""


async def get_grants(request: Request) -> Grants:
    """What whoever sends this request may do, read once a request."""
    if not hasattr(request.state, "grants"):
        user = await get_optional_user(request)
        request.state.grants = await _read(request, user) if user else frozenset()
    grants: Grants = request.state.grants
    return grants


async def _read(request: Request, user: User) -> Grants:
    if user.is_superuser:
        return frozenset({(WILDCARD, WILDCARD)})
    statement = (
        select(col(Grant.identity), col(Grant.action))
        .join(Membership, col(Membership.group_id) == col(Grant.group_id))
        .where(col(Membership.user_id) == user.id)
    )
    async with request.app.state.database.reader(fresh=True) as session:
        return frozenset((identity, action) for identity, action in await session.execute(statement))


def may(identity: str, action: str) -> Any:
    """A route's need in its signature: `user: Annotated[User, may("todo", "export")]`. Others are answered 403."""

    async def permitted(request: Request, user: CurrentUser) -> User:
        if not matches_grant(set(await get_grants(request)), identity, action):
            raise HTTPException(403)
        return user

    return Depends(permitted)
