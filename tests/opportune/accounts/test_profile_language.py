"""The language of a user: chosen in the menu, stored in the profile, and used in e-mails."""

import pytest
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db.database import Database
from tests.opportune.stored_rows import reload

LANGUAGE = "/accounts/language"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"languages": ["en", "de", "ar"]})


async def test_menu_stores_the_language_of_visitors(client: AsyncClient) -> None:
    response = await client.post(LANGUAGE, data={"language": "de", "next": "/accounts/login?a=1"})
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/login?a=1")
    assert 'lang="de"' in (await client.get("/accounts/login")).text


@pytest.mark.parametrize("fields", [{}, {"language": "de\r\nx"}])
async def test_unknown_language_changes_nothing(client: AsyncClient, fields: dict[str, str]) -> None:
    response = await client.post(LANGUAGE, data={**fields, "next": "https://evil.example/"})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert "set-cookie" not in response.headers


async def test_menu_stores_the_language_of_users(user_client: AsyncClient, user: User, database: Database) -> None:
    await user_client.post(LANGUAGE, data={"language": "ar"})
    assert (await reload(database, user)).language == "ar"


async def test_profile_is_preferred_to_cookie(user_client: AsyncClient) -> None:
    await user_client.post(LANGUAGE, data={"language": "ar"})
    page = await user_client.get("/accounts/profile", headers={"Accept-Language": "en"})
    assert '<html lang="ar" dir="rtl"' in page.text
    assert page.headers["content-language"] == "ar"
