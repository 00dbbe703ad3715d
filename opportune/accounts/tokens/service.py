"""API tokens. They are random, and only their hashes are stored."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import is_known_program, record_sign_in
from opportune.accounts.models import ACCESS_TOKEN_NAME, ApiToken, User
from opportune.accounts.sessions.credentials import UserCredentials, delete_expired_and_surplus, hash_token
from opportune.accounts.sessions.service import UserSessions, set_confirmed_at
from opportune.accounts.tokens.scopes import ALL_SCOPES, READ, WRITE
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.db.clock import utc_now

ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
"""Lifetime of access tokens, which programs get by signing in."""
TOKEN_PREFIX = "opp_"
"""Prefix of all tokens, so that users and secret scanners recognise them."""
HINT_LENGTH = len(TOKEN_PREFIX) + 6


class UserTokens(UserCredentials[ApiToken]):
    """Tokens of one user, newest first."""

    model = ApiToken
    newest_first = (col(ApiToken.id),)


async def create_token(
    session: AsyncSession, user: User, name: str, lifetime: timedelta, scopes: Sequence[str] = (READ, WRITE)
) -> tuple[ApiToken, str]:
    """Create a token. Return its row, and the token in plain text."""
    await delete_expired_and_surplus(session, user, ApiToken)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        token_hash=hash_token(token),
        user_id=user.id,
        name=name,
        hint=token[:HINT_LENGTH],
        expires_at=utc_now() + lifetime,
        scopes=" ".join(scopes),
    )
    session.add(row)
    await session.flush()
    return row, token


async def issue_access_token(session: AsyncSession, user: User, scopes: str = ALL_SCOPES) -> str:
    """Create an access token, and return it in plain text."""
    _, token = await create_token(session, user, ACCESS_TOKEN_NAME, ACCESS_TOKEN_LIFETIME, scopes.split())
    return token


async def create_access_token(session: AsyncSession, user: User) -> str:
    """Sign in an API client for an authenticated user, and notify the project's `UserManager`.

    Args:
        session: A writing session.
        user: The authenticated user.

    Returns:
        The bearer token, valid for an hour.
    """
    token = await issue_access_token(session, user)
    await record_sign_in(session, user, is_known=await is_known_program(session, user))
    manager = user_manager(session)
    await manager.on_after_login(user, manager.request)
    return token


async def end_weaker_sign_ins(context: AccountContext, user: User) -> None:
    """End the sessions, access tokens and confirmations from before the user got a second factor.

    The session or token of the request stays. Tokens that users created and named also stay.
    """
    current_id = context.browser_session.id if context.browser_session else None
    await UserSessions(context.session, user.id).delete_all(keep=current_id)
    await set_confirmed_at(context.session, user, None)
    sign_ins = delete(ApiToken).where(col(ApiToken.user_id) == user.id, col(ApiToken.name) == ACCESS_TOKEN_NAME)
    if context.token:
        sign_ins = sign_ins.where(col(ApiToken.id) != context.token.id)
    await context.session.execute(sign_ins)


async def delete_token(session: AsyncSession, token: str) -> None:
    await session.execute(delete(ApiToken).where(col(ApiToken.token_hash) == hash_token(token)))
