from datetime import timedelta
from typing import Any

import jwt
import pytest
from httpx import AsyncClient

from app.accounts import bearer
from app.accounts.keys import derived_key
from app.accounts.models import User
from app.core.db.database import Database
from app.core.db.model import utc_now
from app.core.settings import Settings
from tests.factories import make_user, signed_in_client

ME = "/api/v1/users/me"


on_both = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture
def database_kind() -> str:
    """One is enough where a token is refused before the database is asked."""
    return "sqlite"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database)


async def status_of(client: AsyncClient, token: str) -> int:
    return (await client.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code


def claims(token: str) -> dict[str, Any]:
    shown: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return shown


def forged(settings: Settings, token: str, changes: dict[str, object], purpose: str = bearer.AUDIENCE) -> str:
    return jwt.encode({**claims(token), **changes}, derived_key(settings, purpose), bearer.ALGORITHM)


@on_both
async def test_a_token_tells_who_it_is(client: AsyncClient, user: User, settings: Settings) -> None:
    answer = await client.get(ME, headers={"Authorization": f"bearer {bearer.issue(user, settings)}"})

    assert answer.status_code == 200
    assert answer.json()["email"] == user.email


async def test_a_token_holds_no_password_hash(user: User, settings: Settings) -> None:
    assert user.hashed_password not in str(claims(bearer.issue(user, settings)))


async def test_a_token_signed_for_another_purpose_is_refused(
    client: AsyncClient, user: User, settings: Settings
) -> None:
    token = bearer.issue(user, settings)

    assert await status_of(client, forged(settings, token, {})) == 200
    assert await status_of(client, forged(settings, token, {}, "reset-password")) == 401


OTHER_CLAIMS: list[dict[str, object]] = [
    {"exp": utc_now() - timedelta(seconds=1)},
    {"aud": "fastapi-users:reset"},
    {"sub": "2147483648"},
    {"sub": str(2**63)},
    {"sub": "ada"},
    {"password": "0" * 32},
    {"password": None},
]


@on_both
async def test_a_token_with_another_claim_is_refused(client: AsyncClient, user: User, settings: Settings) -> None:
    for changes in OTHER_CLAIMS:
        assert await status_of(client, forged(settings, bearer.issue(user, settings), changes)) == 401, changes


async def test_a_token_that_never_ends_is_refused(client: AsyncClient, user: User, settings: Settings) -> None:
    endless = {name: value for name, value in claims(bearer.issue(user, settings)).items() if name != "exp"}

    token = jwt.encode(endless, derived_key(settings, bearer.AUDIENCE), bearer.ALGORITHM)

    assert await status_of(client, token) == 401


async def test_nonsense_is_refused(client: AsyncClient) -> None:
    for token in ("", "x", "a.b.c", "ü", "Bearer"):
        answer = await client.get(ME, headers={b"Authorization": f"Bearer {token}".encode()})

        assert answer.status_code == 401, token


async def test_an_unsigned_token_is_refused(client: AsyncClient, user: User, settings: Settings) -> None:
    token = jwt.encode(claims(bearer.issue(user, settings)), "", "none")

    assert await status_of(client, token) == 401


@on_both
async def test_a_deactivated_users_token_is_refused(
    client: AsyncClient, user: User, settings: Settings, database: Database
) -> None:
    async with database.writer() as session:
        session.add(user)
        user.is_active = False

    assert await status_of(client, bearer.issue(user, settings)) == 401


async def test_a_bad_token_is_not_saved_by_a_good_cookie(app: Any, user: User) -> None:
    async with signed_in_client(app, user) as client:
        assert (await client.get(ME)).status_code == 200
        assert await status_of(client, "x") == 401


async def test_pages_take_no_token(client: AsyncClient, user: User, settings: Settings) -> None:
    headers = {"Authorization": f"Bearer {bearer.issue(user, settings)}"}

    assert (await client.get("/accounts/profile", headers=headers)).status_code == 303
