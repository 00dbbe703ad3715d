"""Rules for all e-mails of accounts, and the lifetime of the links in them."""

import time

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User, signed_links
from opportune.accounts.events import service as events
from opportune.accounts.flows.profile import change_password
from opportune.accounts.users.context import EMAILS_PER_IP, EMAILS_PER_RECIPIENT, AccountContext
from opportune.config import Settings, signer
from opportune.db.database import Database
from opportune.mail import InvalidEmailError
from opportune.services.clock import clock
from opportune.testing.factories import PASSWORD
from opportune.web.client import Client
from tests.opportune.accounts.sent_emails import EMAIL, NEW_PASSWORD, read_sent_emails, read_sent_subjects, settings
from tests.opportune.stored_rows import reload

__all__ = ["settings"]  # a fixture


async def test_links_use_the_configured_address(app: FastAPI, client: AsyncClient) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    await client.post("/accounts/register", data={"email": EMAIL, "password": PASSWORD}, headers=headers)
    response = await client.post("/accounts/register", data={"email": EMAIL}, headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "evil" not in str((await read_sent_emails(app))[0])


async def test_emails_to_a_recipient_are_limited(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EMAILS_PER_RECIPIENT.limit == 5
    monkeypatch.setattr(EMAILS_PER_RECIPIENT, "limit", 2)
    for email in (user.email, "nobody@example.com"):
        responses = [await client.post("/accounts/forgot-password", data={"email": email}) for _ in range(3)]
        assert [response.status_code for response in responses] == [200] * 2 + [429]
        assert "Try again in 60 minutes" in responses[-1].text
    assert len(await read_sent_subjects(app)) == 2


async def test_email_requests_per_ip_address_are_limited(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EMAILS_PER_IP.limit == 20
    monkeypatch.setattr(EMAILS_PER_IP, "limit", 3)
    responses = []
    for number, page in enumerate(("register", "forgot-password", "verify/again") * 2):
        form = {"email": f"user{number}@example.com", "password": PASSWORD}
        responses.append(await client.post(f"/accounts/{page}", data=form))
    assert [response.status_code for response in responses] == [200] * 3 + [429] * 3
    assert all("retry-after" in response.headers for response in responses[3:])


async def test_broken_link_is_explained(client: AsyncClient) -> None:
    for page in ("verify", "reset-password"):
        for token in ("a.b.c", "\0", "<script>ü"):
            page_response = await client.get(f"/accounts/{page}", params={"token": token})
            form_response = await client.post(f"/accounts/{page}", data={"token": token, "password": PASSWORD})
            assert page_response.status_code == 410, (page, token)
            assert form_response.status_code in (410, 422), (page, token)
            assert "<script>" not in page_response.text + form_response.text


async def test_password_and_its_email_are_atomic(app: FastAPI, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_context: object) -> None:
        raise InvalidEmailError("The disk is full.")

    async def change() -> None:
        async with app.state.database.writer() as session:
            context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
            await change_password(context, await session.get_one(User, user.id), NEW_PASSWORD)

    monkeypatch.setattr(events, "send_account_email", fail)
    with pytest.raises(InvalidEmailError):
        await change()
    assert (await reload(app, user)).hashed_password == user.hashed_password


@pytest.mark.parametrize(("minutes_ago", "is_valid"), [(59, True), (61, False), (-59, True), (-61, False)])
async def test_link_expires_and_hides_the_password_hash(
    database: Database,
    settings: Settings,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    *,
    minutes_ago: int,
    is_valid: bool,
) -> None:
    """The clock of the machine that signed it may be ahead."""
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: time.time() - 60 * minutes_ago)
        token = signed_links.make_link_token(settings, "reset", user)
    assert user.hashed_password not in token
    async with database.reader() as session:
        link = await signed_links.read_link_token(session, settings, "reset", token)
        assert (link is not None) is is_valid
        of_newer_version = signer(settings, "accounts: reset").dumps([user.id])
        assert await signed_links.read_link_token(session, settings, "reset", of_newer_version) is None
