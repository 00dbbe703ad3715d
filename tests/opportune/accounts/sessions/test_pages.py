"""Pages of a user's sessions and API tokens."""

import re

from httpx2 import AsyncClient, Response

from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.conftest import is_signed_in, token_status

SESSIONS, TOKENS = "/accounts/sessions", "/accounts/tokens"
NEW_TOKEN = {"name": "Backup <script>", "days": "30", "scopes": ["read", "write"], "current_password": PASSWORD}


def find_end_paths(page: Response) -> list[str]:
    """Return the paths of the buttons beside the rows."""
    return re.findall(r'action="(/accounts/\w+/\d+/\w+)"', page.text)


async def test_button_ends_another_session(user_client: AsyncClient, other_browser: AsyncClient) -> None:
    page = await user_client.get(SESSIONS)
    assert page.text.count("This device") == 1
    (end_path,) = find_end_paths(page)
    assert (await user_client.post(end_path)).headers["location"] == SESSIONS
    assert "That device is signed out." in (await user_client.get(SESSIONS)).text
    assert (await is_signed_in(other_browser), await is_signed_in(user_client)) == (False, True)


async def test_ending_other_sessions_keeps_this_one(user_client: AsyncClient, other_browser: AsyncClient) -> None:
    assert (await user_client.post(f"{SESSIONS}/end-others")).headers["location"] == SESSIONS
    page = (await user_client.get(SESSIONS)).text
    assert "Every other device is signed out." in page
    assert "end-others" not in page
    assert not await is_signed_in(other_browser)


async def test_ending_all_sessions_signs_out(user_client: AsyncClient, other_browser: AsyncClient) -> None:
    response = await user_client.post(f"{SESSIONS}/end-all")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert "You are signed out on every device." in (await user_client.get("/")).text
    assert (await is_signed_in(user_client), await is_signed_in(other_browser)) == (False, False)


async def test_token_is_shown_on_one_page_only(user_client: AsyncClient, client: AsyncClient) -> None:
    page = await user_client.post(TOKENS, data=NEW_TOKEN)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store, no-transform")
    (token,) = re.findall(r"user-select-all[^>]*>(\S+)</code>", page.text)
    assert "Backup &lt;script&gt;" in page.text
    assert await token_status(client, token) == 200
    next_page = await user_client.get(TOKENS)
    assert token not in next_page.text
    await user_client.post(find_end_paths(next_page)[0])
    assert await token_status(client, token) == 401
