import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, BasicAuth

from opportune.accounts import User
from opportune.accounts.models import ApiToken
from opportune.accounts.tokens import jwt_strategy
from opportune.accounts.users.queries import delete_all_sessions
from opportune.config.settings import Settings
from opportune.contrib.mcp.oauth.models import CLEANUPS, McpClient, McpGrant
from opportune.db import Database, utc_now
from opportune.jobs.cleanup import clean_up
from tests.opportune.contrib.mcp.library import LIBRARY, SITE, create_site, open_mcp_client
from tests.opportune.contrib.mcp.oauth import OAUTH, Program, read_error, read_tokens, register, request_status
from tests.opportune.stored_rows import delete_row, read_all, read_one, set_all

OTHER_RESOURCE = "https://other.example/mcp"


@pytest.mark.database("postgresql")
async def test_concurrent_exchange_of_a_code_leaves_no_token(program: Program, database: Database) -> None:
    code = await program.request_code()
    responses = await asyncio.gather(*(program.exchange(code) for _ in range(2)))
    assert sorted(response.status_code for response in responses) == [200, 400]
    assert await read_all(database, ApiToken) == []


async def test_reused_code_ends_its_token(program: Program) -> None:
    code = await program.request_code()
    access, refresh = read_tokens(await program.exchange(code))
    assert await program.status(access) == 200
    assert read_error(await program.exchange(code)) == "invalid_grant"
    assert await program.status(access) == 401
    assert read_error(await program.refresh(refresh)) == "invalid_grant"
    assert "Assistant was signed out" in (await program.browser.get("/accounts/events")).text


async def test_reused_refresh_token_ends_its_successor(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first = await program.connect()
    access, second = read_tokens(await program.refresh(first))
    assert second != first
    monkeypatch.setattr(jwt_strategy, "RETRY_GRACE", timedelta(0))
    assert read_error(await program.refresh(first)) == "invalid_grant"
    assert await program.status(access) == 401
    assert read_error(await program.refresh(second)) == "invalid_grant"
    assert "A program was signed out" in (await program.browser.get("/accounts/events")).text


@pytest.mark.parametrize(
    ("options", "error"),
    [({"scope": "library:read library:write"}, "invalid_scope"), ({"resource": OTHER_RESOURCE}, "invalid_target")],
)
async def test_refresh_cannot_widen_a_token(program: Program, options: dict[str, str], error: str) -> None:
    _, refresh = await program.connect("library:read")
    assert (await program.refresh(refresh)).json()["scope"] == "library:read"
    assert read_error(await program.refresh(refresh, **options)) == error


async def test_refresh_can_narrow_a_token(program: Program, site: FastAPI) -> None:
    _, refresh = await program.connect()
    access, _ = read_tokens(await program.refresh(refresh, scope="library:read"))
    http = AsyncClient(transport=ASGITransport(site), headers={"Authorization": f"Bearer {access}"})
    async with open_mcp_client(f"{SITE}/mcp", http) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["whoami", "crash"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "b" * 50}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request"),
        ({"resource": OTHER_RESOURCE}, "invalid_target"),
        ({"code": "nonsense"}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client"),
    ],
)
async def test_exchange_with_wrong_parameters_fails(program: Program, changes: dict[str, Any], error: str) -> None:
    response = await program.exchange(**{"code": await program.request_code(), **changes})
    assert (response.status_code, read_error(response)) == (401 if error == "invalid_client" else 400, error)


async def test_other_program_cannot_use_code_or_token(program: Program) -> None:
    other = (await register(program.http, client_name="Other"))["client_id"]
    code = await program.request_code()
    assert read_error(await program.exchange(code, client_id=other)) == "invalid_grant"
    access, refresh = read_tokens(await program.exchange(code))
    assert read_error(await program.refresh(refresh, client_id=other)) == "invalid_grant"
    await program.revoke(access, client_id=other)
    assert await program.status(access) == 200


async def test_id_of_basic_authentication_is_enough(program: Program, database: Database) -> None:
    client = await register(program.http, token_endpoint_auth_method="client_secret_basic")
    code = await replace(program, client_id=client["client_id"]).request_code()
    program.http.auth = BasicAuth(client["client_id"], client["client_secret"])
    access, _ = read_tokens(await program.exchange(code, client_id=None))
    assert (await program.http.post(f"{OAUTH}/revoke", data={"token": access})).status_code == 200
    assert await read_all(database, ApiToken) == []


async def test_tokens_only_work_for_mcp_until_they_are_revoked(program: Program) -> None:
    access, refresh = await program.connect()
    for token in (access, refresh):
        headers = {"Authorization": f"Bearer {token}"}
        assert (await program.http.get("/api/v1/users/me", headers=headers)).status_code == 401
    assert await program.status(refresh) == 401
    assert await program.status(access) == 200
    assert (await program.revoke(access)).status_code == 200
    assert await program.status(access) == 401
    assert (await program.revoke("x", client_id="")).status_code == 401


async def test_token_of_another_resource_is_refused(program: Program, site: FastAPI) -> None:
    access, _ = await program.connect()
    moved = create_site(site, LIBRARY)
    moved.state.settings = moved.state.settings.model_copy(update={"base_url": "http://other.example"})
    async with AsyncClient(transport=ASGITransport(moved), base_url=SITE) as other_site:
        assert await request_status(other_site, access) == 401


async def test_client_secret_is_sealed(http: AsyncClient, browser: AsyncClient, database: Database) -> None:
    registered = await register(http, token_endpoint_auth_method="client_secret_post")
    program, secret = Program(http, browser, registered["client_id"]), registered["client_secret"]
    assert secret not in (await read_one(database, McpClient)).sealed_secret
    code = await program.request_code()
    for wrong in (None, "wrong"):
        response = await program.exchange(code, client_secret=wrong)
        assert (response.status_code, read_error(response)) == (401, "invalid_client")
    assert (await program.exchange(code, client_secret=secret)).status_code == 200


@pytest.mark.parametrize("event", ["new password", "signed out everywhere", "deactivated"])
async def test_access_ends_with_the_users_sessions(program: Program, database: Database, ada: User, event: str) -> None:
    access, refresh = await program.connect()
    code = await program.request_code()
    async with database.writer() as session:
        user = await session.get_one(User, ada.id)
        if event == "signed out everywhere":
            await delete_all_sessions(session, user)
        elif event == "deactivated":
            user.is_active = False
        else:
            user.hashed_password = "another"
    assert await program.status(access) == 401
    assert (await program.refresh(refresh)).status_code == 400
    assert read_error(await program.exchange(code)) == "invalid_grant"


async def test_expired_code_is_refused_and_deleted(program: Program, database: Database, settings: Settings) -> None:
    code = await program.request_code()
    await set_all(database, McpGrant, expires_at=utc_now())
    assert read_error(await program.exchange(code)) == "invalid_grant"
    await clean_up(database, settings, CLEANUPS)
    assert await read_all(database, McpGrant) == []
    assert await read_all(database, McpClient), "an authorized program remains"


async def test_deleted_program_loses_its_tokens(program: Program, database: Database) -> None:
    access, refresh = await program.connect()
    await delete_row(database, await read_one(database, McpClient))
    assert await program.status(access) == 401
    assert read_error(await program.refresh(refresh)) == "invalid_client"
