"""Pages of a user's sessions and API tokens."""

import re

from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import func, select

from opportune.accounts.models import ApiToken
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, signed_in_client
from tests.opportune.accounts.recorded_emails import ada_client, other_browser, user

__all__ = ["ada_client", "other_browser", "user"]  # fixtures

SESSIONS, TOKENS = "/accounts/sessions", "/accounts/tokens"
NEW_TOKEN = {"name": "Backup <script>", "days": "30", "scopes": ["read", "write"], "current_password": PASSWORD}


async def is_signed_in(client: AsyncClient) -> bool:
    return (await client.get(SESSIONS)).status_code == 200


def find_end_paths(page: Response) -> list[str]:
    """Return the paths of the buttons beside the rows."""
    return re.findall(r'action="(/accounts/\w+/\d+/\w+)"', page.text)


async def test_button_ends_another_session(ada_client: AsyncClient, other_browser: AsyncClient) -> None:
    page = await ada_client.get(SESSIONS)
    assert page.text.count("This device") == 1
    (end_path,) = find_end_paths(page)

    response = await ada_client.post(end_path)

    assert response.headers["location"] == SESSIONS
    assert "That device is signed out." in (await ada_client.get(SESSIONS)).text
    assert not await is_signed_in(other_browser)
    assert await is_signed_in(ada_client)


async def test_ending_other_sessions_keeps_this_one(ada_client: AsyncClient, other_browser: AsyncClient) -> None:
    response = await ada_client.post(f"{SESSIONS}/end-others")

    assert response.headers["location"] == SESSIONS
    assert "Every other device is signed out." in (await ada_client.get(SESSIONS)).text
    assert await is_signed_in(ada_client)
    assert not await is_signed_in(other_browser)
    assert "end-others" not in (await ada_client.get(SESSIONS)).text


async def test_ending_all_sessions_signs_out(ada_client: AsyncClient, other_browser: AsyncClient) -> None:
    response = await ada_client.post(f"{SESSIONS}/end-all")

    assert "Max-Age=0" in response.headers["set-cookie"]
    assert "You are signed out on every device." in (await ada_client.get("/")).text
    assert not await is_signed_in(ada_client)
    assert not await is_signed_in(other_browser)


async def test_rows_of_another_user_are_not_found(app: FastAPI, ada_client: AsyncClient) -> None:
    await ada_client.post(TOKENS, data=NEW_TOKEN)
    (revoke_path,) = find_end_paths(await ada_client.get(TOKENS))
    async with signed_in_client(app) as eve_client:
        for path in (revoke_path, f"{SESSIONS}/1/end", f"{SESSIONS}/{2**63}/end"):
            assert (await eve_client.post(path)).status_code == 404
    assert find_end_paths(await ada_client.get(TOKENS)) == [revoke_path]
    assert await is_signed_in(ada_client)


async def test_token_is_shown_on_one_page_only(ada_client: AsyncClient, client: AsyncClient) -> None:
    page = await ada_client.post(TOKENS, data=NEW_TOKEN)

    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store, no-transform")
    (token,) = re.findall(r"user-select-all[^>]*>(\S+)</code>", page.text)
    assert "Backup &lt;script&gt;" in page.text
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/api/v1/users/me", headers=bearer)).status_code == 200
    next_page = await ada_client.get(TOKENS)
    assert token not in next_page.text

    await ada_client.post(find_end_paths(next_page)[0])
    assert (await client.get("/api/v1/users/me", headers=bearer)).status_code == 401


async def test_refused_token_is_not_created(ada_client: AsyncClient, database: Database) -> None:
    for changes, message in (
        ({"current_password": "not the password"}, "This is not your current password."),
        ({"name": ""}, "Please fill this in."),
        ({"days": "3650"}, "Please choose one of the options."),
    ):
        response = await ada_client.post(TOKENS, data={**NEW_TOKEN, **changes})

        assert response.status_code == 422
        assert message in response.text
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(ApiToken)) == 0
