"""Pages of a user's passkeys, and their effect on other credentials."""

import re
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.flows.two_factor import reset_two_factor
from opportune.accounts.models import RecoveryCode, Session, User
from opportune.accounts.sign_in_methods import available, passkeys, webauthn
from opportune.accounts.sign_in_methods.webauthn import find_relying_party
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_token, make_user, signed_in_client
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.conftest import is_signed_in, token_status
from tests.opportune.accounts.passkeys import conftest as keys
from tests.opportune.accounts.passkeys.authenticator import Authenticator
from tests.opportune.stored_rows import read_all, set_all

API = "/api/v1/users/me/passkeys"


@pytest.fixture
async def ada_client(user_client: AsyncClient, database: Database) -> AsyncClient:
    """A browser with a confirmed identity."""
    await keys.confirm_sessions(database)
    return user_client


async def submit_passkey(client: AsyncClient, device: Authenticator, name: str = "Phone") -> str:
    data = {"name": name, "passkey": device.create(await keys.get_options(client, "add"))}
    response = await client.post(f"{keys.PASSKEYS}/add", data=data)
    return response.text if response.status_code != 303 else response.headers["location"]


async def remove_passkey(client: AsyncClient, row_id: int) -> str:
    """Remove a passkey by its button, and return the text of the next page."""
    return await keys.follow_redirect(client, await client.post(f"{keys.PASSKEYS}/{row_id}/remove"))


async def find_passkey_id(database: Database, user: User, name: str) -> int:
    return next(item.id for item in await keys.read_passkeys(database, user) if item.name == name)


async def test_passkeys_of_another_user_are_not_found(app: FastAPI, ada_client: AsyncClient) -> None:
    other_user = await make_user(app.state.database)
    await keys.add_passkey(app, other_user)
    await keys.confirm_sessions(app.state.database)
    row_id = await find_passkey_id(app.state.database, other_user, "Phone")
    for path in (f"{keys.PASSKEYS}/{row_id}/rename", f"{keys.PASSKEYS}/{row_id}/remove"):
        assert (await ada_client.post(path, data={"name": "x"})).status_code == 404
    assert (await ada_client.patch(f"{API}/{row_id}", json={"name": "x"})).status_code == 404
    assert (await ada_client.request("DELETE", f"{API}/{row_id}", json={})).status_code == 404
    assert (await keys.read_passkeys(app.state.database, other_user))[0].name == "Phone"


async def test_changes_need_a_complete_confirmation(app: FastAPI, user: User) -> None:
    await keys.add_passkey(app, user)
    row_id = await find_passkey_id(app.state.database, user, "Phone")
    async with signed_in_client(app, user) as client:
        for method, path in (("GET", "add"), ("POST", "add"), ("POST", f"{row_id}/remove")):
            headers = {"referer": f"http://testserver{keys.PASSKEYS}"}
            redirect = await client.request(method, f"{keys.PASSKEYS}/{path}", headers=headers)
            assert redirect.headers["location"].startswith("/accounts/confirm?next="), path
        assert (await client.request("DELETE", f"{API}/{row_id}", json={})).status_code == 422
        assert len(await keys.read_passkeys(app.state.database, user)) == 1
        assert 'name="code"' in (await client.get("/accounts/confirm")).text
        assert (await client.post("/accounts/confirm", data={"current_password": PASSWORD})).status_code == 422
        form = {"name": "x", "days": "30", "scopes": "read", "current_password": PASSWORD}
        await client.post("/accounts/tokens", data=form)
        assert (await client.get(f"{keys.PASSKEYS}/add")).status_code == 303


async def test_first_passkey_ends_other_sessions(
    app: FastAPI, client: AsyncClient, ada_client: AsyncClient, user: User, database: Database
) -> None:
    token = await make_token(database, user)
    async with signed_in_client(app, user) as other_browser:
        page = await submit_passkey(ada_client, Authenticator())
        codes = re.findall(r"<code[^>]*>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</code>", page)
        assert len(codes) == 10
        assert re.search(rf'href="{keys.PASSKEYS}">\s*I have saved them', page)
        assert not await is_signed_in(other_browser)
    assert await token_status(client, token) == 401
    assert (await ada_client.get("/accounts/profile")).status_code == 200
    assert (await ada_client.get(f"{keys.PASSKEYS}/add")).status_code == 303, "a password alone no longer confirms"
    assert (await keys.send_password(client)).headers["location"] == keys.CODE
    assert (await client.post(keys.CODE, data={"code": codes[0]})).headers["location"] == "/"
    assert await is_signed_in(client)
    await keys.confirm_sessions(database)
    assert await submit_passkey(ada_client, Authenticator(), "Key") == keys.PASSKEYS, "later passkeys end no session"
    assert await is_signed_in(client)
    assert (await keys.read_event_kinds(database, user)).count("passkey_created") == 2


async def test_passkey_is_renamed_and_removed(ada_client: AsyncClient, user: User, database: Database) -> None:
    await submit_passkey(ada_client, Authenticator(), "<Phone>")
    row_id = await find_passkey_id(database, user, "<Phone>")
    page = (await ada_client.get(keys.PASSKEYS)).text
    assert "&lt;Phone&gt;" in page
    assert "You have 10 recovery codes left" in page
    for form in (None, {"password": "wrong"}):
        response = await ada_client.request("POST" if form else "GET", "/accounts/two-factor", data=form)
        assert "You have 10 recovery codes left" in response.text
    for name in (" ", "x" * 101, "\x00"):
        assert (await ada_client.post(f"{keys.PASSKEYS}/{row_id}/rename", data={"name": name})).status_code == 422
    await ada_client.post(f"{keys.PASSKEYS}/{row_id}/rename", data={"name": "Laptop"})
    assert [item["name"] for item in (await ada_client.get(API)).json()] == ["Laptop"]
    assert (await ada_client.patch(f"{API}/{row_id}", json={"name": "Key"})).status_code == 204
    await keys.confirm_sessions(database)
    assert "That passkey is removed" in await remove_passkey(ada_client, row_id)
    assert await keys.read_passkeys(database, user) == []
    assert await read_all(database, RecoveryCode) == []
    assert "passkey_deleted" in await keys.read_event_kinds(database, user)
    assert (await keys.send_password(ada_client)).headers["location"] == "/"


async def test_last_sign_in_method_cannot_be_removed(ada_client: AsyncClient, user: User, database: Database) -> None:
    await submit_passkey(ada_client, Authenticator(), "Phone")
    await keys.confirm_sessions(database)
    await submit_passkey(ada_client, Authenticator(verifies=False), "Key")
    await set_all(database, User, hashed_password="")
    await keys.confirm_sessions(database)
    phone, key = await find_passkey_id(database, user, "Phone"), await find_passkey_id(database, user, "Key")
    assert available.LAST_SIGN_IN_METHOD in await remove_passkey(ada_client, phone)
    assert (await ada_client.request("DELETE", f"{API}/{phone}", json={})).status_code == 409
    # A passkey without user verification is not a sign-in method.
    assert "That passkey is removed" in await remove_passkey(ada_client, key)
    assert len(await keys.read_passkeys(database, user)) == 1


async def test_registration_is_bound_to_user_and_valid_once(
    app: FastAPI, ada_client: AsyncClient, user: User, database: Database
) -> None:
    async with signed_in_client(app) as other_client, signed_in_client(app, user) as other_browser:
        await keys.confirm_sessions(database)
        device = Authenticator()
        response = device.create(await keys.get_options(ada_client, "add"))
        for client in (other_client, other_browser):
            result = await client.post(f"{keys.PASSKEYS}/add", data={"name": "x", "passkey": response})
            assert (result.status_code, webauthn.NOT_STARTED_HERE in result.text) == (422, True)
        foreign = Authenticator(origin="http://evil.example").create(await keys.get_options(ada_client, "add"))
        result = await ada_client.post(f"{keys.PASSKEYS}/add", data={"name": "x", "passkey": foreign})
        assert (result.status_code, webauthn.NOT_VERIFIED in result.text) == (422, True)
        form = {"name": "Phone", "passkey": response}
        assert (await ada_client.post(f"{keys.PASSKEYS}/add", data=form)).status_code == 200
        await keys.confirm_sessions(database)
        repeated = await ada_client.post(f"{keys.PASSKEYS}/add", data=form)
        assert webauthn.NOT_STARTED_HERE in repeated.text
        options = await keys.get_options(ada_client, "add")
        assert len(options["publicKey"]["excludeCredentials"]) == 1
        assert options["publicKey"]["user"]["id"] == device.user_handle, "all passkeys of a user have the same handle"
    async with signed_in_client(app) as thief_client:
        await keys.confirm_sessions(database)
        assert passkeys.ALREADY_ADDED in await submit_passkey(thief_client, device)
    assert len(await keys.read_passkeys(database, user)) == 1


async def test_passkey_limit(ada_client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    device, options = Authenticator(), await keys.get_options(ada_client, "add")
    await submit_passkey(ada_client, Authenticator())
    await keys.confirm_sessions(database)
    monkeypatch.setattr(passkeys, "MAX_PASSKEYS_PER_USER", 1)
    refused = await ada_client.post(f"{keys.PASSKEYS}/options", data={"purpose": "add"})
    assert (refused.status_code, refused.content) == (204, b"")
    response = await ada_client.post(f"{keys.PASSKEYS}/add", data={"name": "x", "passkey": device.create(options)})
    assert (response.status_code, passkeys.TOO_MANY in response.text) == (422, True)


async def test_passkey_confirms_the_identity_in_forms(app: FastAPI, user: User, database: Database) -> None:
    device = await keys.add_passkey(app, user)
    form = {"name": "Script", "days": "30", "scopes": "read"}
    async with signed_in_client(app, user) as client, signed_in_client(app) as other_client:
        change = await client.post("/accounts/tokens", data={**form, "passkey": await keys.sign(client, device, "add")})
        assert (change.status_code, webauthn.NOT_STARTED_HERE in change.text) == (422, True)
        options = await keys.get_options(client, "confirm")
        assert options["publicKey"]["userVerification"] == "required"
        confirmed = await client.post("/accounts/tokens", data={**form, "passkey": device.sign(options)})
        assert (confirmed.status_code, "opp_" in confirmed.text) == (200, True)
        assert (await client.get(f"{keys.PASSKEYS}/add")).status_code == 200
        assert (await other_client.post(f"{keys.PASSKEYS}/options", data={"purpose": "confirm"})).status_code == 204
    async with signed_in_client(app, user) as client:
        response = {"passkey": await keys.sign(client, device, "confirm"), "next": keys.PASSKEYS}
        assert (await client.post("/accounts/confirm", data=response)).headers["location"] == keys.PASSKEYS
        device.verifies = False
        await set_all(database, Session, confirmed_at=None)
        response = {"passkey": await keys.sign(client, device, "confirm")}
        assert (await client.post("/accounts/confirm", data=response)).status_code == 422


async def test_reset_keeps_the_last_method(app: FastAPI, client: AsyncClient, user: User, database: Database) -> None:
    await keys.add_passkey(app, user)
    async with database.writer() as session:
        await reset_two_factor(session, await session.get_one(User, user.id))
    assert await keys.read_passkeys(database, user) == []
    assert (await keys.send_password(client)).headers["location"] == "/"
    client.cookies.clear()
    device = await keys.add_passkey(app, user)
    await set_all(database, User, hashed_password="")
    async with database.writer() as session:
        await reset_two_factor(session, await session.get_one(User, user.id))
    assert (await keys.sign_in(client, device)).headers["location"] == "/"


@pytest.mark.parametrize(
    ("visited", "changes", "expected"),
    [
        ("http://localhost:8000", {}, "http://localhost:8000"),
        ("http://127.0.0.1:8000", {}, None),
        ("http://shop.localhost:8000", {}, "http://shop.localhost:8000"),
        ("https://evil.example", {"base_url": "https://example.org"}, "https://example.org"),
        ("", {"base_url": "https://example.org:8443"}, "https://example.org:8443"),
        (
            "https://evil.example",
            {"environment": "production", "allowed_hosts": ["example.org"]},
            "https://example.org",
        ),
    ],
)
def test_passkey_is_bound_to_domain(visited: str, changes: dict[str, object], expected: str | None) -> None:
    settings = settings_for("sqlite:///unused.db").model_copy(update={"base_url": "", **changes})
    site = find_relying_party(settings, visited)
    assert (site and (site.id, site.origin)) == (expected and (urlsplit(expected).hostname, expected))


@pytest.mark.parametrize("host", ["[", "localhost:99999", "a b"])
async def test_malformed_host_is_not_an_error(ada_client: AsyncClient, host: str) -> None:
    response = await ada_client.post(f"{keys.PASSKEYS}/options", data={"purpose": "add"}, headers={"host": host})
    assert response.status_code < 500


async def test_superuser_removes_a_passkey(app: FastAPI, admin: AsyncClient, user: User, database: Database) -> None:
    await keys.add_passkey(app, user)
    (passkey,) = await keys.read_passkeys(database, user)
    page = await admin.get(f"/admin/passkey/details/{passkey.id}")
    assert (page.status_code, passkey.public_key in page.text) == (200, False)
    await admin.post(f"/admin/passkey/delete?pks={passkey.id}", data={"confirmed": "yes"})
    assert await keys.read_passkeys(database, user) == []
    assert "passkey_deleted" in await keys.read_event_kinds(database, user), "the user is notified"
