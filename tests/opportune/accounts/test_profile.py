"""Account pages: their menu, and changes of the e-mail address and the password."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.flows.profile import EMAIL_CHANGES_PER_USER
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing import PASSWORD, RecordedJobs, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import list_sent_subjects
from tests.opportune.stored_rows import reload

EMAIL, NEW_EMAIL, TAKEN_EMAIL = "ada@example.com", "new@example.com", "bob@example.com"


def find_newest_link(recorded_jobs: RecordedJobs) -> str:
    match = re.search(r"http://\S+?(/accounts/change-email\?token=\S+)", recorded_jobs.outbox[-1].text)
    assert match
    return match[1]


async def request_email_change(client: AsyncClient, email: str = NEW_EMAIL, password: str = PASSWORD) -> Any:
    return await client.post("/accounts/profile/email", data={"email": email, "current_password": password})


async def submit_link(client: AsyncClient, link: str) -> Any:
    return await client.post("/accounts/change-email", data={"token": link.partition("token=")[2]})


async def test_new_email_is_used_after_its_link(
    user_client: AsyncClient, database: Database, user: User, recorded_jobs: RecordedJobs
) -> None:
    response = await request_email_change(user_client, " New@Example.com ")
    assert response.headers["location"] == "/accounts/profile"
    assert [to for to, _ in list_sent_subjects(recorded_jobs)] == [NEW_EMAIL]
    page = await user_client.get(find_newest_link(recorded_jobs))
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store, no-transform"
    assert (await reload(database, user)).email == EMAIL  # mail programs open links in advance
    response = await submit_link(user_client, find_newest_link(recorded_jobs))
    assert response.headers["location"] == "/accounts/profile"
    changed = await reload(database, user)
    assert (changed.email, changed.is_verified) == (NEW_EMAIL, True)
    assert list_sent_subjects(recorded_jobs)[-1][0] == EMAIL  # the old address is notified
    assert (await user_client.get("/accounts/profile")).status_code == 200


async def test_email_link_is_valid_once_for_its_user(
    app: FastAPI, user_client: AsyncClient, client: AsyncClient, user: User, recorded_jobs: RecordedJobs
) -> None:
    await request_email_change(user_client)
    link = find_newest_link(recorded_jobs)
    async with signed_in_client(app) as eve_client:
        foreign = [await eve_client.get(link), await submit_link(eve_client, link)]
        for response in (*foreign, await submit_link(user_client, f"{link}x")):
            assert response.status_code == 410
    assert (await submit_link(client, link)).status_code == 303  # redirects to the sign-in page
    assert (await reload(app, user)).email == EMAIL
    assert (await submit_link(user_client, link)).status_code == 303
    assert (await submit_link(user_client, link)).status_code == 410


async def test_taken_email_is_secret(user_client: AsyncClient, database: Database, recorded_jobs: RecordedJobs) -> None:
    await make_user(database, TAKEN_EMAIL)
    free, taken = await request_email_change(user_client), await request_email_change(user_client, TAKEN_EMAIL.upper())
    assert (taken.status_code, taken.headers["location"]) == (free.status_code, free.headers["location"])
    subjects = {NEW_EMAIL: "Is this your new e-mail address?", TAKEN_EMAIL: "You already have an account"}
    assert list_sent_subjects(recorded_jobs) == [*subjects.items()]
    assert "token" not in recorded_jobs.outbox[-1].text


async def test_email_taken_later_is_refused(
    user_client: AsyncClient, database: Database, user: User, recorded_jobs: RecordedJobs
) -> None:
    await request_email_change(user_client)
    await make_user(database, NEW_EMAIL)
    assert (await submit_link(user_client, find_newest_link(recorded_jobs))).status_code == 410
    assert (await reload(database, user)).email == EMAIL


async def test_email_change_needs_password_and_email(user_client: AsyncClient, recorded_jobs: RecordedJobs) -> None:
    for email, password, message in (
        (NEW_EMAIL, "not the password", "This is not your current password."),
        (NEW_EMAIL, "", "Please enter your current password."),
        ("nonsense", PASSWORD, "Please enter an e-mail address"),
        (EMAIL.upper(), PASSWORD, "This is already your address."),
    ):
        response = await request_email_change(user_client, email, password)
        assert (response.status_code, message in response.text) == (422, True)
        assert not password or password not in response.text
    assert recorded_jobs.names == []


async def test_email_changes_are_limited(
    user_client: AsyncClient, recorded_jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EMAIL_CHANGES_PER_USER.limit == 5
    monkeypatch.setattr(EMAIL_CHANGES_PER_USER, "limit", 2)
    responses = [await request_email_change(user_client, f"new{number}@example.com") for number in range(3)]
    assert [response.status_code for response in responses] == [303] * 2 + [429]
    assert "That was too often." in responses[-1].text
    assert len(recorded_jobs.outbox) == 2


async def test_unverified_address_can_be_verified_again(user_client: AsyncClient, recorded_jobs: RecordedJobs) -> None:
    assert "Not verified" in (await user_client.get("/accounts/profile")).text
    assert (await user_client.post("/accounts/profile/verification")).headers["location"] == "/accounts/profile"
    assert recorded_jobs.names == ["accounts.send_verification_email"]
    assert recorded_jobs.calls[0].arguments == (EMAIL,)
