"""`@pytest.mark.language`: a site in the language of the test."""

import pytest
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.testing import RecordedJobs

TITLES = {"de": "Anmelden", "ar": "تسجيل الدخول"}


@pytest.mark.language("de", "ar")
async def test_pages_are_in_the_language(client: AsyncClient, language: str) -> None:
    page = (await client.get("/accounts/login", headers={"Accept-Language": "en"})).text
    assert f'<html lang="{language}"' in page
    assert TITLES[language] in page


@pytest.mark.language("de")
async def test_emails_are_in_the_language(client: AsyncClient, user: User, recorded_jobs: RecordedJobs) -> None:
    await client.post("/accounts/forgot-password", data={"email": user.email})
    await recorded_jobs.work()
    (email,) = recorded_jobs.outbox
    assert "Passwort" in email.text


async def test_site_is_english_without_the_mark(settings: Settings, language: str) -> None:
    assert (language, settings.language) == ("", "en")
