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
from tests.opportune.accounts.recorded_emails import ada, recorded, settings, told, user

# What a page asks of the database is asked of both kinds in the tests of the API and of leaving.
pytestmark = pytest.mark.database("sqlite")

__all__ = ["ada", "recorded", "settings", "user"]  # fixtures

EMAIL, NEW, TAKEN = "ada@example.com", "new@example.com", "bob@example.com"
PAGES = ("profile", "password", "sessions", "tokens", "data")


async def stored(database: Database, user: User) -> User:
    async with database.reader(fresh=True) as session:
        return await session.get_one(User, user.id)


def link_of(recorded: RecordedJobs) -> str:
    found = re.search(r"http://\S+?(/accounts/change-email\?token=\S+)", recorded.outbox[-1].text)
    assert found
    return found[1]


async def ask(client: AsyncClient, email: str = NEW, password: str = PASSWORD) -> Any:
    return await client.post("/accounts/profile/email", data={"email": email, "current_password": password})


async def open_link(client: AsyncClient, link: str) -> Any:
    return await client.post("/accounts/change-email", data={"token": link.partition("token=")[2]})


async def test_the_pages_of_an_account_are_for_its_owner(client: AsyncClient) -> None:
    for page in PAGES:
        answer = await client.get(f"/accounts/{page}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/accounts/login?next=%2Faccounts%2F{page}")


async def test_a_menu_leads_to_all_of_them_and_a_profile_gives_nobody_rights(
    ada: AsyncClient, database: Database, user: User
) -> None:
    for page in PAGES:
        answer = await ada.get(f"/accounts/{page}")

        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert all(f'href="/accounts/{other}"' in answer.text for other in (*PAGES, "two-factor"))
        assert re.findall(r'href="/accounts/([a-z-]+)" aria-current="page"', answer.text) == [page]

    rights = {"is_superuser": "true", "is_staff": "true", "is_verified": "true", "id": "77", "email": NEW}

    await ada.post("/accounts/profile", data=rights)

    assert await stored(database, user) == user


async def test_an_address_that_is_not_verified_can_be_so_once_more(ada: AsyncClient, recorded: RecordedJobs) -> None:
    assert "Not verified" in (await ada.get("/accounts/profile")).text

    answer = await ada.post("/accounts/profile/verification")

    assert answer.headers["location"] == "/accounts/profile"
    assert recorded.names == ["accounts.send_verification_email"]
    assert recorded.calls[0].arguments == (EMAIL,)


async def test_a_new_email_counts_once_the_link_sent_there_is_opened(
    ada: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    answer = await ask(ada, " New@Example.com ")

    assert answer.headers["location"] == "/accounts/profile"
    assert [to for to, _ in told(recorded)] == [NEW]
    page = await ada.get(link_of(recorded))
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store, no-transform"
    assert (await stored(database, user)).email == EMAIL  # mail programs open links to look for harm

    answer = await open_link(ada, link_of(recorded))

    assert answer.headers["location"] == "/accounts/profile"
    changed = await stored(database, user)
    assert (changed.email, changed.is_verified) == (NEW, True)
    assert told(recorded)[-1][0] == EMAIL  # the old address is told
    assert (await ada.get("/accounts/profile")).status_code == 200


async def test_a_link_for_an_email_works_once_and_in_its_owners_hands(
    app: FastAPI, ada: AsyncClient, client: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    await ask(ada)
    link = link_of(recorded)
    async with signed_in_client(app) as eve:
        for answer in (await eve.get(link), await open_link(eve, link), await open_link(ada, f"{link}x")):
            assert answer.status_code == 410
    assert (await open_link(client, link)).status_code == 303  # to the sign-in page
    assert (await stored(database, user)).email == EMAIL

    assert (await open_link(ada, link)).status_code == 303
    assert (await open_link(ada, link)).status_code == 410


async def test_a_new_password_ends_the_links_that_were_sent_before(
    app: FastAPI, ada: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    await ask(ada)
    link = link_of(recorded)
    await ada.post("/accounts/password", data={"current_password": PASSWORD, "new_password": "another good password"})

    async with signed_in_client(app, user) as again:
        assert (await open_link(again, link)).status_code == 410


async def test_whether_an_email_is_taken_learns_only_its_owner(
    ada: AsyncClient, database: Database, recorded: RecordedJobs
) -> None:
    await make_user(database, TAKEN)

    free, taken = await ask(ada), await ask(ada, TAKEN.upper())

    assert (taken.status_code, taken.headers["location"]) == (free.status_code, free.headers["location"])
    assert told(recorded) == [(NEW, "Is this your new e-mail address?"), (TAKEN, "You have an account already")]
    assert "token" not in recorded.outbox[-1].text


async def test_an_email_that_is_taken_in_the_meantime_stays_with_whoever_has_it(
    ada: AsyncClient, database: Database, user: User, recorded: RecordedJobs
) -> None:
    await ask(ada)
    await make_user(database, NEW)

    assert (await open_link(ada, link_of(recorded))).status_code == 410
    assert (await stored(database, user)).email == EMAIL


async def test_refused_emails_and_guesses_at_the_password_have_nobody_written_to_and_end(
    ada: AsyncClient, recorded: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PASSWORDS_PER_USER.limit == 10
    monkeypatch.setattr(PASSWORDS_PER_USER, "limit", 3)
    for email, password, words in (
        (NEW, "not the password", "This is not your current password."),
        (NEW, "", "Please type your current password."),
        ("nonsense", PASSWORD, "Please give an e-mail address"),
        (EMAIL.upper(), PASSWORD, "This is your address already."),
    ):
        answer = await ask(ada, email, password)

        assert answer.status_code == 422
        assert words in answer.text
        assert not password or password not in answer.text
    assert recorded.names == []

    answers = [await ask(ada, password=f"guess {number}") for number in range(2)]  # and one was above
    locked = [
        await ask(ada),
        await ada.post(
            "/accounts/tokens", data={"name": "a", "days": "7", "scopes": "read", "current_password": PASSWORD}
        ),
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert [answer.status_code for answer in locked] == [429] * 2
    assert int(locked[0].headers["retry-after"]) <= 300
    assert recorded.names == []


async def test_nobody_has_emails_written_without_end(
    ada: AsyncClient, recorded: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EMAIL_CHANGES_PER_USER.limit == 5
    monkeypatch.setattr(EMAIL_CHANGES_PER_USER, "limit", 2)
    answers = [await ask(ada, f"new{number}@example.com") for number in range(3)]

    assert [answer.status_code for answer in answers] == [303] * 2 + [429]
    assert "That was too often." in answers[-1].text
    assert len(recorded.outbox) == 2


async def test_the_owner_is_told_of_a_new_password_and_its_browser_stays_known_as_before(
    ada: AsyncClient, recorded: RecordedJobs
) -> None:
    form = {"current_password": PASSWORD, "new_password": "another good password"}
    await ada.post("/accounts/password", data={**form, "new_password": "password"})
    assert told(recorded) == []

    answer = await ada.post("/accounts/password", data=form)

    assert told(recorded) == [(EMAIL, "Your password was changed")]
    assert "Max-Age" not in answer.headers["set-cookie"].partition("session=")[2].partition(",")[0]
    assert "Your password is changed." in (await ada.get(answer.headers["location"])).text


async def test_a_program_is_told_no_more_of_taken_emails_than_a_page(
    ada: AsyncClient, database: Database, recorded: RecordedJobs
) -> None:
    await make_user(database, TAKEN)
    wanted = {"current_password": PASSWORD, "password": "another good password"}

    answer = await ada.patch("/api/v1/users/me", json={**wanted, "email": TAKEN})

    assert (answer.status_code, answer.json()["email"]) == (202, EMAIL)
    assert {to for to, _ in told(recorded)} == {EMAIL, TAKEN}
