import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select, update

from opportune.accounts import User
from opportune.accounts.models import ApiToken
from opportune.accounts.tokens import jwt_strategy
from opportune.accounts.users.credentials import delete_all_sessions
from opportune.config.settings import Settings
from opportune.contrib.mcp.oauth.models import CLEANUPS, McpClient, McpGrant
from opportune.db import Database
from opportune.db.models.model import utc_now
from opportune.jobs.cleanup import clean_up
from opportune.testing import make_token
from tests.opportune.contrib.mcp.library import LIBRARY, SITE, create_site, open_mcp_client
from tests.opportune.contrib.mcp.oauth import (
    OAUTH,
    authorize_url,
    connect,
    exchange_code,
    read_error,
    refresh_token,
    register,
    request_code,
    request_status,
)

OTHER_RESOURCE = "https://other.example/mcp"


@pytest.mark.database("postgresql")
async def test_concurrent_exchange_of_a_code_leaves_no_token(
    program: AsyncClient, browser: AsyncClient, client_id: str, database: Database
) -> None:
    code = await request_code(browser, authorize_url(client_id))
    responses = await asyncio.gather(*(exchange_code(program, client_id, code) for _ in range(2)))
    assert sorted(response.status_code for response in responses) == [200, 400]
    async with database.reader(fresh=True) as session:
        assert not (await session.scalars(select(ApiToken))).all()


async def test_reused_code_ends_its_token(program: AsyncClient, browser: AsyncClient, client_id: str) -> None:
    code = await request_code(browser, authorize_url(client_id))
    tokens = (await exchange_code(program, client_id, code)).json()
    assert await request_status(program, tokens["access_token"]) == 200
    assert read_error(await exchange_code(program, client_id, code)) == "invalid_grant"
    assert await request_status(program, tokens["access_token"]) == 401
    assert read_error(await refresh_token(program, client_id, tokens["refresh_token"])) == "invalid_grant"
    assert "Assistant was signed out" in (await browser.get("/accounts/events")).text


async def test_reused_refresh_token_ends_its_successor(
    program: AsyncClient, browser: AsyncClient, client_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await connect(program, browser, client_id, "library:read")
    refreshed = (await refresh_token(program, client_id, first["refresh_token"])).json()
    assert refreshed["scope"] == "library:read"
    assert refreshed["refresh_token"] != first["refresh_token"]
    monkeypatch.setattr(jwt_strategy, "RETRY_GRACE", timedelta(0))
    assert read_error(await refresh_token(program, client_id, first["refresh_token"])) == "invalid_grant"
    assert await request_status(program, refreshed["access_token"]) == 401
    assert read_error(await refresh_token(program, client_id, refreshed["refresh_token"])) == "invalid_grant"
    assert "A program was signed out" in (await browser.get("/accounts/events")).text


@pytest.mark.parametrize(
    ("options", "error"),
    [({"scope": "library:read library:write"}, "invalid_scope"), ({"resource": OTHER_RESOURCE}, "invalid_target")],
)
async def test_refresh_cannot_widen_a_token(
    program: AsyncClient, browser: AsyncClient, client_id: str, options: dict[str, str], error: str
) -> None:
    tokens = await connect(program, browser, client_id, "library:read")
    assert read_error(await refresh_token(program, client_id, tokens["refresh_token"], **options)) == error


async def test_refresh_can_narrow_a_token(
    program: AsyncClient, browser: AsyncClient, client_id: str, site: FastAPI
) -> None:
    tokens = await connect(program, browser, client_id)
    narrow = (await refresh_token(program, client_id, tokens["refresh_token"], scope="library:read")).json()
    async with open_mcp_client(site, headers={"Authorization": f"Bearer {narrow['access_token']}"}) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "crash"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "b" * 50}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"resource": OTHER_RESOURCE}, "invalid_target"),
        ({"code": "nonsense"}, "invalid_grant"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"client_id": "nobody"}, "invalid_client"),
    ],
)
async def test_exchange_with_wrong_parameters_fails(
    program: AsyncClient, browser: AsyncClient, client_id: str, changes: dict[str, Any], error: str
) -> None:
    response = await exchange_code(program, client_id, await request_code(browser, authorize_url(client_id)), **changes)
    assert (response.status_code, read_error(response)) == (401 if error == "invalid_client" else 400, error)


async def test_other_program_cannot_use_code_or_token(
    program: AsyncClient, browser: AsyncClient, client_id: str
) -> None:
    other = (await register(program, client_name="Other"))["client_id"]
    code = await request_code(browser, authorize_url(client_id))
    assert read_error(await exchange_code(program, other, code)) == "invalid_grant"
    tokens = (await exchange_code(program, client_id, code)).json()
    assert read_error(await refresh_token(program, other, tokens["refresh_token"])) == "invalid_grant"
    await program.post(f"{OAUTH}/revoke", data={"client_id": other, "token": tokens["access_token"]})
    assert await request_status(program, tokens["access_token"]) == 200


async def test_program_revokes_its_token(program: AsyncClient, browser: AsyncClient, client_id: str) -> None:
    token = (await connect(program, browser, client_id))["access_token"]
    response = await program.post(f"{OAUTH}/revoke", data={"client_id": client_id, "token": token})
    assert response.status_code == 200
    assert await request_status(program, token) == 401
    assert (await program.post(f"{OAUTH}/revoke", data={"token": "x"})).status_code == 401


async def test_tokens_of_programs_only_work_for_mcp(program: AsyncClient, browser: AsyncClient, client_id: str) -> None:
    tokens = await connect(program, browser, client_id)
    for name in ("access_token", "refresh_token"):
        headers = {"Authorization": f"Bearer {tokens[name]}"}
        assert (await program.get("/api/v1/users/me", headers=headers)).status_code == 401
    assert await request_status(program, tokens["refresh_token"]) == 401


async def test_token_created_by_the_user_works(program: AsyncClient, database: Database, ada: User) -> None:
    assert await request_status(program, await make_token(database, ada)) == 200


async def test_token_of_another_resource_is_refused(
    program: AsyncClient, browser: AsyncClient, client_id: str, site: FastAPI
) -> None:
    tokens = await connect(program, browser, client_id)
    moved = create_site(site, LIBRARY)
    moved.state.settings = moved.state.settings.model_copy(update={"base_url": "http://other.example"})
    async with AsyncClient(transport=ASGITransport(moved), base_url=SITE) as other_site:
        assert await request_status(other_site, tokens["access_token"]) == 401


async def test_client_secret_is_required_and_not_stored_in_clear(
    program: AsyncClient, browser: AsyncClient, database: Database
) -> None:
    registered = await register(program, token_endpoint_auth_method="client_secret_post")
    client_id, secret = registered["client_id"], registered["client_secret"]
    async with database.reader(fresh=True) as session:
        assert secret not in (await session.scalars(select(McpClient))).one().sealed_secret
    code = await request_code(browser, authorize_url(client_id))
    for wrong in (None, "wrong"):
        response = await exchange_code(program, client_id, code, client_secret=wrong)
        assert (response.status_code, read_error(response)) == (401, "invalid_client")
    assert (await exchange_code(program, client_id, code, client_secret=secret)).status_code == 200


@pytest.mark.parametrize("event", ["new password", "signed out everywhere", "deactivated"])
async def test_access_ends_with_the_users_sessions(
    program: AsyncClient, browser: AsyncClient, client_id: str, database: Database, ada: User, event: str
) -> None:
    tokens = await connect(program, browser, client_id)
    code = await request_code(browser, authorize_url(client_id))
    async with database.writer() as session:
        user = await session.get_one(User, ada.id)
        if event == "signed out everywhere":
            await delete_all_sessions(session, user)
        elif event == "deactivated":
            user.is_active = False
        else:
            user.hashed_password = "another"
    assert await request_status(program, tokens["access_token"]) == 401
    assert (await refresh_token(program, client_id, tokens["refresh_token"])).status_code == 400
    assert read_error(await exchange_code(program, client_id, code)) == "invalid_grant"


async def test_expired_code_is_refused_and_deleted(
    program: AsyncClient, browser: AsyncClient, client_id: str, database: Database, settings: Settings
) -> None:
    code = await request_code(browser, authorize_url(client_id))
    async with database.writer() as session:
        await session.execute(update(McpGrant).values(expires_at=utc_now()))
    assert read_error(await exchange_code(program, client_id, code)) == "invalid_grant"
    await clean_up(database, settings, CLEANUPS)
    async with database.reader(fresh=True) as session:
        assert not (await session.scalars(select(McpGrant))).all()
        assert (await session.scalars(select(McpClient))).all(), "an authorized program remains"


async def test_deleted_program_loses_its_tokens(
    program: AsyncClient, browser: AsyncClient, client_id: str, database: Database
) -> None:
    tokens = await connect(program, browser, client_id)
    async with database.writer() as session:
        await session.delete((await session.scalars(select(McpClient))).one())
    assert await request_status(program, tokens["access_token"]) == 401
    assert read_error(await refresh_token(program, client_id, tokens["refresh_token"])) == "invalid_client"
