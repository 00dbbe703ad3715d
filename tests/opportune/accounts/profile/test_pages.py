import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from opportune.accounts.models import User
from opportune.accounts.profile.service import EMAIL_CHANGES_PER_USER
from opportune.accounts.reauthentication.service import PASSWORDS_PER_USER
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.accounts.recorded_emails import ada, recorded, sent_subjects, settings, user

# Tests of the API and of deletion run these queries on both databases.
pytestmark = pytest.mark.database("sqlite")

__all__ = ["ada", "recorded", "settings", "user"]  # fixtures

EMAIL, NEW, TAKEN = "ada@example.com", "new@example.com", "bob@example.com"
PAGES = ("profile", "password", "sessions", "tokens", "data")


async def reload_user(database: Database, user: User) -> User:
    async with database.reader(fresh=True) as session:
        return await session.get_one(User, user.id)


def find_newest_link(recorded: RecordedJobs) -> str:
    match = re.search(r"http://\S+?(/accounts/change-email\?token=\S+)", recorded.outbox[-1].text)
    assert match
    return match[1]


async def request_email_change(client: AsyncClient, email: str = NEW, password: str = PASSWORD) -> Any:
    return await client.post("/accounts/profile/email", data={"email": email, "current_password": password})


async def submit_link(client: AsyncClient, link: str) -> Any:
    return await client.post("/accounts/change-email", data={"token": link.partition("token=")[2]})


async def test_account_pages_need_a_user(client: AsyncClient) -> None:
    for page in PAGES:
        response = await client.get(f"/accounts/{page}")
        assert (response.status_code, response.headers["location"]) == (
            303,
            f"/accounts/login?next=%2Faccounts%2F{page}",
        )


async def test_menu_links_to_all_account_pages(ada: AsyncClient, database: Database, user: User) -> None:
    for page in PAGES:
        response = await ada.get(f"/accounts/{page}")

        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        assert all(f'href="/accounts/{page}"' in response.text for page in (*PAGES, "two-factor"))
        assert re.findall(r'href="/accounts/([a-z-]+)" aria-current="page"', response.text) == [page]

    rights = {"is_superuser": "true", "is_staff": "true", "is_verified": "true", "id": "77", "email": NEW}

    await ada.post("/accounts/profile", data=rights)

    assert await reload_user(database, user) == user


async def test_unverified_address_can_be_verified_again(ada: AsyncClient, recorded: RecordedJobs) -> None:
    assert "Not verified" in (await ada.get("/accounts/profile")).text

    response = await ada.post("/accounts/profile/verification")

    assert response.headers["location"] == "/accounts/profile"
    assert recorded.names == ["accounts.send_verification_email"]
    assert recorded.calls[0].arguments == (EMAIL,)


async def test_new_email_is_used_after_its_link(
    ada: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    response = await request_email_change(ada, " New@Example.com ")

    assert response.headers["location"] == "/accounts/profile"
    assert [to for to, _ in sent_subjects(recorded)] == [NEW]
    page = await ada.get(find_newest_link(recorded))
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store, no-transform"
    assert (await reload_user(database, user)).email == EMAIL  # mail programs open links in advance

    response = await submit_link(ada, find_newest_link(recorded))

    assert response.headers["location"] == "/accounts/profile"
    changed = await reload_user(database, user)
    assert (changed.email, changed.is_verified) == (NEW, True)
    assert sent_subjects(recorded)[-1][0] == EMAIL  # the old address is notified
    assert (await ada.get("/accounts/profile")).status_code == 200


async def test_email_link_is_valid_once_for_its_user(
    app: FastAPI, ada: AsyncClient, client: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    await request_email_change(ada)
    link = find_newest_link(recorded)
    async with signed_in_client(app) as eve:
        for response in (await eve.get(link), await submit_link(eve, link), await submit_link(ada, f"{link}x")):
            assert response.status_code == 410
    assert (await submit_link(client, link)).status_code == 303  # redirects to the sign-in page
    assert (await reload_user(database, user)).email == EMAIL

    assert (await submit_link(ada, link)).status_code == 303
    assert (await submit_link(ada, link)).status_code == 410


async def test_new_password_ends_older_links(
    app: FastAPI, ada: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    await request_email_change(ada)
    link = find_newest_link(recorded)
    await ada.post("/accounts/password", data={"current_password": PASSWORD, "new_password": "another good password"})

    async with signed_in_client(app, user) as new_browser:
        assert (await submit_link(new_browser, link)).status_code == 410


async def test_only_the_owner_learns_that_an_email_is_taken(
    ada: AsyncClient, database: Database, recorded: RecordedJobs
) -> None:
    await make_user(database, TAKEN)

    free, taken = await request_email_change(ada), await request_email_change(ada, TAKEN.upper())

    assert (taken.status_code, taken.headers["location"]) == (free.status_code, free.headers["location"])
    assert sent_subjects(recorded) == [
        (NEW, "Is this your new e-mail address?"),
        (TAKEN, "You already have an account"),
    ]
    assert "token" not in recorded.outbox[-1].text


async def test_email_taken_later_is_refused(
    ada: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    await request_email_change(ada)
    await make_user(database, NEW)

    assert (await submit_link(ada, find_newest_link(recorded))).status_code == 410
    assert (await reload_user(database, user)).email == EMAIL


async def test_email_change_needs_password_and_valid_email(
    ada: AsyncClient, recorded: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PASSWORDS_PER_USER.limit == 10
    monkeypatch.setattr(PASSWORDS_PER_USER, "limit", 3)
    for email, password, message in (
        (NEW, "not the password", "This is not your current password."),
        (NEW, "", "Please type your current password."),
        ("nonsense", PASSWORD, "Please give an e-mail address"),
        (EMAIL.upper(), PASSWORD, "This is already your address."),
    ):
        response = await request_email_change(ada, email, password)

        assert response.status_code == 422
        assert message in response.text
        assert not password or password not in response.text
    assert recorded.names == []

    # The form above with a wrong password was the first failed attempt.
    responses = [await request_email_change(ada, password=f"guess {number}") for number in range(2)]
    locked = [
        await request_email_change(ada),
        await ada.post(
            "/accounts/tokens", data={"name": "a", "days": "7", "scopes": "read", "current_password": PASSWORD}
        ),
    ]

    assert {response.status_code for response in responses} == {422}
    assert [response.status_code for response in locked] == [429] * 2
    assert int(locked[0].headers["retry-after"]) <= 300
    assert recorded.names == []


async def test_email_changes_are_limited(
    ada: AsyncClient, recorded: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EMAIL_CHANGES_PER_USER.limit == 5
    monkeypatch.setattr(EMAIL_CHANGES_PER_USER, "limit", 2)
    responses = [await request_email_change(ada, f"new{number}@example.com") for number in range(3)]

    assert [response.status_code for response in responses] == [303] * 2 + [429]
    assert "That was too often." in responses[-1].text
    assert len(recorded.outbox) == 2


async def test_new_password_is_emailed_and_keeps_the_session(ada: AsyncClient, recorded: RecordedJobs) -> None:
    form = {"current_password": PASSWORD, "new_password": "another good password"}
    await ada.post("/accounts/password", data={**form, "new_password": "password"})
    assert sent_subjects(recorded) == []

    response = await ada.post("/accounts/password", data=form)

    assert sent_subjects(recorded) == [(EMAIL, "Your password was changed")]
    assert "Max-Age" not in response.headers["set-cookie"].partition("session=")[2].partition(",")[0]
    assert "Your password is changed." in (await ada.get(response.headers["location"])).text


async def test_api_does_not_reveal_taken_emails(ada: AsyncClient, database: Database, recorded: RecordedJobs) -> None:
    await make_user(database, TAKEN)
    changes = {"current_password": PASSWORD, "password": "another good password"}

    response = await ada.patch("/api/v1/users/me", json={**changes, "email": TAKEN})

    assert (response.status_code, response.json()["email"]) == (202, EMAIL)
    assert {to for to, _ in sent_subjects(recorded)} == {EMAIL, TAKEN}
