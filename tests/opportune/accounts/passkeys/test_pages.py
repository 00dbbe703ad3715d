"""One's own passkeys: added, named, removed; what they are worth, and what goes with them."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts.models import LinkedAccount, Passkey, RecoveryCode, Session, User
from opportune.accounts.passkeys import service
from opportune.accounts.sign_in_methods import passkeys, webauthn
from opportune.accounts.sign_in_methods.second_factor import setup_is_required
from opportune.accounts.sign_in_methods.webauthn import relying_party
from opportune.accounts.users.factory import user_manager
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_token, make_user, signed_in_client
from tests.opportune.accounts.passkeys.authenticator import Authenticator
from tests.opportune.accounts.passkeys.conftest import (
    CODE,
    PASSKEYS,
    add,
    ask,
    confirmed,
    events_of,
    is_signed_in,
    passkeys_of,
    said,
    sign_in,
    type_password,
)

pytestmark = pytest.mark.database("sqlite")

API = "/api/v1/users/me/passkeys"


@pytest.fixture
async def ada(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    """A browser that has just confirmed."""
    async with signed_in_client(app, user) as client:
        await confirmed(app.state.database)
        yield client


async def send(client: AsyncClient, device: Authenticator, name: str = "Phone") -> str:
    answer = await client.post(
        f"{PASSKEYS}/add", data={"name": name, "passkey": device.create(await ask(client, "add"))}
    )
    return answer.text if answer.status_code != 303 else answer.headers["location"]


async def without_password(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(User).values(hashed_password=""))


async def number_of(database: Database, user: User, name: str) -> int:
    return next(each.id for each in await passkeys_of(database, user) if each.name == name)


async def test_strangers_have_no_passkeys_and_nobody_touches_anothers(
    app: FastAPI, client: AsyncClient, ada: AsyncClient
) -> None:
    other = await make_user(app.state.database)
    await add(app, other)
    await confirmed(app.state.database)
    number = await number_of(app.state.database, other, "Phone")
    for path in (PASSKEYS, f"{PASSKEYS}/add"):
        assert (await client.get(path)).headers["location"].startswith("/accounts/login?")
    for path in (
        f"{PASSKEYS}/options",
        f"{PASSKEYS}/add",
        f"{PASSKEYS}/{number}/rename",
        f"{PASSKEYS}/{number}/remove",
    ):
        assert (await client.post(path, data={"name": "x"})).headers["location"].startswith("/accounts/login?"), path
    for path in (f"{PASSKEYS}/{number}/rename", f"{PASSKEYS}/{number}/remove"):
        assert (await ada.post(path, data={"name": "x"})).status_code == 404
    assert (await client.get(API)).status_code == 401
    assert (await ada.patch(f"{API}/{number}", json={"name": "x"})).status_code == 404
    assert (await ada.request("DELETE", f"{API}/{number}", json={})).status_code == 404
    assert (await passkeys_of(app.state.database, other))[0].name == "Phone"


async def test_who_has_not_confirmed_adds_and_removes_none_and_the_password_alone_confirms_no_more(
    app: FastAPI, user: User, database: Database
) -> None:
    await add(app, user)
    number = await number_of(app.state.database, user, "Phone")
    async with signed_in_client(app, user) as client:
        for method, path in (("GET", "add"), ("POST", "add"), ("POST", f"{number}/remove")):
            asked = await client.request(
                method, f"{PASSKEYS}/{path}", headers={"referer": f"http://testserver{PASSKEYS}"}
            )
            assert asked.headers["location"].startswith("/accounts/confirm?next="), path
        assert (await client.request("DELETE", f"{API}/{number}", json={})).status_code == 422
        assert len(await passkeys_of(app.state.database, user)) == 1

        assert 'name="code"' in (await client.get("/accounts/confirm")).text
        assert (await client.post("/accounts/confirm", data={"current_password": PASSWORD})).status_code == 422
        await client.post(
            "/accounts/tokens", data={"name": "x", "days": "30", "scopes": "read", "current_password": PASSWORD}
        )
        assert (await client.get(f"{PASSKEYS}/add")).status_code == 303


async def test_the_first_is_a_second_factor_and_ends_what_began_with_less(
    app: FastAPI, client: AsyncClient, ada: AsyncClient, user: User, database: Database
) -> None:
    token = {"Authorization": f"Bearer {await make_token(database, user)}"}
    async with signed_in_client(app, user) as other:
        page = await send(ada, Authenticator())
        codes = re.findall(r"<code[^>]*>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</code>", page)
        assert len(codes) == 10
        assert not await is_signed_in(other)
    assert (await client.get("/api/v1/users/me", headers=token)).status_code == 401
    assert (await ada.get("/accounts/profile")).status_code == 200
    assert (await ada.get(f"{PASSKEYS}/add")).status_code == 303, "it takes more now to confirm"

    assert (await type_password(client)).headers["location"] == CODE
    assert (await client.post(CODE, data={"code": codes[0]})).headers["location"] == "/"
    assert await is_signed_in(client)
    await confirmed(database)
    assert await send(ada, Authenticator(), "Key") == PASSKEYS, "the second shows no codes and ends nothing"
    assert await is_signed_in(client)
    assert [kind for kind in await events_of(database, user) if "passkey" in kind] == ["passkey_added"] * 2


async def test_one_is_listed_renamed_and_removed_and_its_recovery_codes_go_with_the_last(
    ada: AsyncClient, user: User, database: Database
) -> None:
    await send(ada, Authenticator(), "<Phone>")
    number = await number_of(database, user, "<Phone>")
    page = (await ada.get(PASSKEYS)).text
    assert "&lt;Phone&gt;" in page
    assert "You have 10 recovery codes left" in page
    assert "You have 10 recovery codes left" in (await ada.get("/accounts/two-factor")).text

    for name in (" ", "x" * 101, "\x00"):
        assert (await ada.post(f"{PASSKEYS}/{number}/rename", data={"name": name})).status_code == 422
    await ada.post(f"{PASSKEYS}/{number}/rename", data={"name": "Laptop"})
    assert [each["name"] for each in (await ada.get(API)).json()] == ["Laptop"]
    assert (await ada.patch(f"{API}/{number}", json={"name": "Key"})).status_code == 204

    await confirmed(database)
    assert "That passkey is removed" in await said(ada, await ada.post(f"{PASSKEYS}/{number}/remove"))
    assert await passkeys_of(database, user) == []
    async with database.reader(fresh=True) as session:
        assert (await session.scalars(select(RecoveryCode))).all() == []
    assert "passkey_removed" in await events_of(database, user)
    assert (await type_password(ada)).headers["location"] == "/"


async def test_the_last_way_in_stays(app: FastAPI, ada: AsyncClient, user: User, database: Database) -> None:
    await send(ada, Authenticator(), "Phone")
    await confirmed(database)
    await send(ada, Authenticator(verifies=False), "Key")
    await without_password(database)
    await confirmed(database)
    phone, key = await number_of(database, user, "Phone"), await number_of(database, user, "Key")
    assert service.LAST_SIGN_IN_METHOD in await said(ada, await ada.post(f"{PASSKEYS}/{phone}/remove"))
    assert (await ada.request("DELETE", f"{API}/{phone}", json={})).status_code == 409
    # One that is not enough alone is none.
    assert "That passkey is removed" in await said(ada, await ada.post(f"{PASSKEYS}/{key}/remove"))
    async with database.writer() as session:  # what no provider of the settings vouches for is none either
        session.add(LinkedAccount(user_id=user.id, issuer="https://gone.example", subject="1"))
    assert service.LAST_SIGN_IN_METHOD in await said(ada, await ada.post(f"{PASSKEYS}/{phone}/remove"))
    assert len(await passkeys_of(database, user)) == 1


async def test_what_a_device_makes_counts_for_who_asked_and_once(
    app: FastAPI, ada: AsyncClient, user: User, database: Database
) -> None:
    async with signed_in_client(app) as other, signed_in_client(app, user) as elsewhere:
        await confirmed(database)
        device = Authenticator()
        answer = device.create(await ask(ada, "add"))
        for client in (other, elsewhere):
            sent = await client.post(f"{PASSKEYS}/add", data={"name": "x", "passkey": answer})
            assert (sent.status_code, webauthn.NOT_OURS in sent.text) == (422, True)
        foreign = Authenticator(origin="http://evil.example").create(await ask(ada, "add"))
        sent = await ada.post(f"{PASSKEYS}/add", data={"name": "x", "passkey": foreign})
        assert (sent.status_code, webauthn.NOT_BELIEVED in sent.text) == (422, True)
        assert (await ada.post(f"{PASSKEYS}/add", data={"name": "Phone", "passkey": answer})).status_code == 200
        await confirmed(database)
        again = await ada.post(f"{PASSKEYS}/add", data={"name": "Phone", "passkey": answer})
        assert webauthn.NOT_OURS in again.text
        question = await ask(ada, "add")
        assert len(question["publicKey"]["excludeCredentials"]) == 1
        assert question["publicKey"]["user"]["id"] == device.handle, "one person has one name on all devices"
    async with signed_in_client(app) as thief:
        await confirmed(database)
        assert passkeys.TAKEN in await send(thief, device)
    assert len(await passkeys_of(database, user)) == 1


async def test_one_person_has_so_many_at_most(
    ada: AsyncClient, user: User, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, question = Authenticator(), await ask(ada, "add")
    await send(ada, Authenticator())
    await confirmed(database)
    monkeypatch.setattr(passkeys, "MAX_PASSKEYS_PER_USER", 1)
    refused = await ada.post(f"{PASSKEYS}/options", data={"purpose": "add"})
    assert (refused.status_code, refused.content) == (204, b"")
    late = await ada.post(f"{PASSKEYS}/add", data={"name": "x", "passkey": answer.create(question)})
    assert (late.status_code, passkeys.TOO_MANY in late.text) == (422, True)


async def test_a_passkey_confirms_that_it_is_you_in_any_form_and_for_a_while(
    app: FastAPI, user: User, database: Database
) -> None:
    device = await add(app, user)
    form = {"name": "Script", "days": "30", "scopes": "read"}
    async with signed_in_client(app, user) as client, signed_in_client(app) as other:
        wrong = await client.post("/accounts/tokens", data={**form, "passkey": device.show(await ask(client, "add"))})
        assert (wrong.status_code, webauthn.NOT_OURS in wrong.text) == (422, True)
        question = await ask(client, "confirm")
        assert question["publicKey"]["userVerification"] == "required"
        done = await client.post("/accounts/tokens", data={**form, "passkey": device.show(question)})
        assert (done.status_code, "opp_" in done.text) == (200, True)
        assert (await client.get(f"{PASSKEYS}/add")).status_code == 200
        assert (await other.post(f"{PASSKEYS}/options", data={"purpose": "confirm"})).status_code == 204
    async with signed_in_client(app, user) as client:
        answer = {"passkey": device.show(await ask(client, "confirm")), "next": PASSKEYS}
        assert (await client.post("/accounts/confirm", data=answer)).headers["location"] == PASSKEYS
        device.verifies = False
        await say_nothing(database)
        answer = {"passkey": device.show(await ask(client, "confirm"))}
        assert (await client.post("/accounts/confirm", data=answer)).status_code == 422


async def say_nothing(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(Session).values(confirmed_at=None))


async def test_a_passkey_is_the_second_factor_that_staff_need(
    app: FastAPI, user: User, database: Database, settings: Settings
) -> None:
    strict = settings.model_copy(update={"needs_second_factor": "staff"})
    async with database.writer() as session:
        await session.execute(update(User).values(is_staff=True))
        staff = await session.get_one(User, user.id)
    assert await setup_is_required(database, strict, staff)
    await add(app, staff)
    assert not await setup_is_required(database, strict, staff)


async def test_who_runs_the_site_resets_what_was_lost_but_not_the_last_way_in(
    app: FastAPI, client: AsyncClient, user: User, database: Database
) -> None:
    device = await add(app, user)
    async with database.writer() as session:
        await service.reset_two_factor(session, await session.get_one(User, user.id))
    assert await passkeys_of(database, user) == []
    assert (await type_password(client)).headers["location"] == "/"
    client.cookies.clear()

    device = await add(app, user)
    await without_password(database)
    async with database.writer() as session:
        await service.reset_two_factor(session, await session.get_one(User, user.id))
    assert (await sign_in(client, device)).headers["location"] == "/"


async def test_a_superuser_removes_a_lost_one_in_the_admin(app: FastAPI, user: User, database: Database) -> None:
    await add(app, user)
    root = await make_user(database, is_superuser=True)
    number = await number_of(database, user, "Phone")
    async with signed_in_client(app, root) as admin:
        page = await admin.get(f"/admin/passkey/details/{number}")
        assert page.status_code == 200
        (passkey,) = await passkeys_of(database, user)
        assert passkey.public_key not in page.text
        user_page = await admin.get(f"/admin/user/details/{user.id}")
        assert re.search(r">Passkeys</dt>\s*<dd[^>]*>1</dd>", user_page.text)
        await admin.post(f"/admin/passkey/delete?pks={number}", data={"confirmed": "yes"})
    assert await passkeys_of(database, user) == []
    assert "passkey_removed" in await events_of(database, user), "its owner is told"


async def test_a_new_password_by_mail_ends_what_a_stranger_has_added_to_an_address_that_was_not_theirs(
    app: FastAPI, user: User, database: Database, settings: Settings
) -> None:
    from opportune.accounts.emails.signed_links import make_link_token  # noqa: PLC0415

    await add(app, user)
    async with database.writer() as session:
        await user_manager(session).reset_password(make_link_token(settings, "reset", user), "another good password")
    assert await passkeys_of(database, user) == []


async def test_a_person_takes_them_along_and_they_go_with_the_account(
    app: FastAPI, ada: AsyncClient, user: User, database: Database
) -> None:
    await send(ada, Authenticator())
    (row,) = (await ada.get("/api/v1/users/me/export")).json()["accounts"]["passkeys"]
    assert (row["name"], "user_id" in row) == ("Phone", False)
    await confirmed(database)
    await ada.post("/accounts/data/delete", data={"email": user.email})
    async with database.reader(fresh=True) as session:
        assert (await session.scalars(select(col(Passkey.id)))).all() == []


async def test_a_passkey_is_for_the_name_of_the_site(settings: Settings, ada: AsyncClient) -> None:
    def of(visited: str = "http://localhost:8000", **changed: object) -> tuple[str, str] | None:
        site = relying_party(settings.model_copy(update={"base_url": "", **changed}), visited)
        return (site.id, site.origin) if site else None

    assert of() == ("localhost", "http://localhost:8000")
    assert of("http://127.0.0.1:8000") is of("http://[::1]:8000") is None
    public = {"base_url": "https://example.org"}
    assert of("https://evil.example", **public) == ("example.org", "https://example.org")
    assert of(base_url="HTTPS://Example.org:443") == ("example.org", "https://example.org")
    assert of(base_url="https://example.org:8443") == ("example.org", "https://example.org:8443")
    hosts = {"environment": "production", "allowed_hosts": ["example.org"]}
    assert of("https://evil.example", **hosts) == ("example.org", "https://example.org")
    page = await ada.get(PASSKEYS, headers={"host": "127.0.0.1:8000"})
    assert 'href="http://localhost:8000/accounts/passkeys"' in page.text
    nowhere = await ada.post(f"{PASSKEYS}/options", data={"purpose": "add"}, headers={"host": "127.0.0.1"})
    assert nowhere.status_code == 204
    for host in ("[", "localhost:99999", "a b"):
        odd = await ada.post(f"{PASSKEYS}/options", data={"purpose": "add"}, headers={"host": host})
        assert odd.status_code < 500, host
