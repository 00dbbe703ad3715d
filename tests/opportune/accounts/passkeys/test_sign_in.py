"""Sign-in by passkey, alone or as the second factor."""

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import cbor2
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import update

from opportune.accounts.models import Passkey, User
from opportune.accounts.sign_in_methods import passkeys, webauthn
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.passkeys.authenticator import Authenticator, as_text
from tests.opportune.accounts.passkeys.conftest import (
    CODE,
    EMAIL,
    LOGIN,
    PASSKEYS,
    SECOND_STEP,
    SIGN_IN,
    add,
    ask,
    confirmed,
    is_signed_in,
    message_after,
    passkeys_of,
    sign_in,
    type_password,
)

pytestmark = pytest.mark.database("sqlite")

NOT_STARTED_HERE, NOT_VERIFIED = webauthn.NOT_STARTED_HERE, webauthn.NOT_VERIFIED


async def refused(client: AsyncClient, response: str, message: str, path: str = SIGN_IN) -> None:
    page = await message_after(client, await client.post(path, data={"passkey": response}))
    assert message in page
    assert not await is_signed_in(client)


async def test_passkey_signs_in_and_redirects(
    app: FastAPI, client: AsyncClient, user: User, database: Database
) -> None:
    device = await add(app, user)
    response = await sign_in(
        client, device, next="/accounts/sessions", remember="true", email="nobody", password="nonsense"
    )
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/sessions")
    assert "Max-Age=2592000" in response.headers["set-cookie"]
    assert await is_signed_in(client)
    (passkey,) = await passkeys_of(database, user)
    assert (passkey.sign_count, passkey.used_at is not None) == (1, True)
    away = await sign_in(client, device, next="//evil.example")
    assert away.headers["location"] == "/"


async def test_assertion_is_valid_once(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user, Authenticator(counts=False))
    for _ in range(2):
        assert (await sign_in(client, device)).headers["location"] == "/"

    response = device.show(await ask(client, "sign-in"))
    assert (await client.post(SIGN_IN, data={"passkey": response})).headers["location"] == "/"
    client.cookies.delete("session")
    await refused(client, response, NOT_STARTED_HERE)


async def test_assertion_is_bound_to_browser_and_purpose(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await add(app, user)
    async with signed_in_client(app, user) as owner:
        for question in (await ask(owner, "confirm"), await ask(owner, "add")):
            await refused(client, device.show(question), NOT_STARTED_HERE)
    other = AsyncClient(transport=client._transport, base_url=client.base_url)
    await ask(client, "sign-in")
    await refused(client, device.show(await ask(other, "sign-in")), NOT_STARTED_HERE)
    question = await ask(client, "sign-in")
    monkeypatch.setattr(webauthn, "LIFETIME_SECONDS", -1)
    await refused(client, device.show(question), NOT_STARTED_HERE)


async def test_forged_assertion_is_refused(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user)
    for field, value in (("origin", "http://evil.example"), ("rp_id", "evil.example")):
        right = getattr(device, field)
        setattr(device, field, value)
        await refused(client, device.show(await ask(client, "sign-in")), NOT_VERIFIED)
        setattr(device, field, right)
    question = await ask(client, "sign-in")
    other = {**await ask(client, "sign-in"), "state": question["state"]}
    await refused(client, device.show(other), NOT_VERIFIED)
    forged = Authenticator(number=device.number, handle=device.handle)
    await refused(client, forged.show(await ask(client, "sign-in")), NOT_VERIFIED)

    device.handle = (await add(app, await make_user(app.state.database))).handle
    for lie in ({}, {"userHandle": None}):
        await refused(client, device.show(await ask(client, "sign-in"), **lie), NOT_VERIFIED)


async def test_lower_sign_count_is_refused(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user)
    await sign_in(client, device)
    client.cookies.delete("session")
    device.count = 0
    await refused(client, device.show(await ask(client, "sign-in")), NOT_VERIFIED)


async def test_unverified_user_is_a_second_factor_only(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user, Authenticator(verifies=False))
    await refused(client, device.show(await ask(client, "sign-in")), NOT_VERIFIED)

    asked = await type_password(client, next="/accounts/sessions", remember="true")
    assert asked.headers["location"] == CODE
    assert not await is_signed_in(client)
    page = await client.get(CODE)
    assert 'data-passkey="second-step"' in page.text
    question = await ask(client, "second-step")
    assert [item["id"] for item in question["publicKey"]["allowCredentials"]]
    response = await client.post(SECOND_STEP, data={"passkey": device.show(question, userHandle=None)})
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/sessions")
    assert await is_signed_in(client)


async def test_second_step_refuses_other_passkeys(app: FastAPI, client: AsyncClient, user: User) -> None:
    device, other = await add(app, user), await add(app, await make_user(app.state.database))
    assert (await client.post(SECOND_STEP, data={"passkey": "x"})).headers["location"] == LOGIN
    visitor = await client.post(f"{SIGN_IN}/options", data={"purpose": "second-step"})
    assert (visitor.status_code, visitor.content) == (204, b"")
    await type_password(client)
    await refused(client, other.show(await ask(client, "second-step")), NOT_VERIFIED, SECOND_STEP)
    await refused(client, device.show(await ask(client, "sign-in")), NOT_STARTED_HERE, SECOND_STEP)
    await refused(client, device.show(await ask(client, "second-step")), NOT_STARTED_HERE, SIGN_IN)


async def test_passkey_needs_a_form_and_an_active_user(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user)
    response = device.show(await ask(client, "sign-in"))
    for path in (SIGN_IN, f"{SIGN_IN}/options", f"{PASSKEYS}/add"):
        sent = await client.post(path, data={"passkey": response}, headers={"origin": "https://evil.example"})
        assert sent.status_code == 403, path

    form = {"username": EMAIL, "password": PASSWORD}
    for code in ("", "123456"):
        assert (await client.post("/api/v1/auth/login", data={**form, "code": code})).status_code == 401

    database = app.state.database
    async with database.writer() as session:
        await session.execute(update(User).values(is_active=False))
    await refused(client, device.show(await ask(client, "sign-in")), passkeys.DEACTIVATED)
    async with database.writer() as session:
        await session.delete(await session.get_one(User, user.id))
    assert await passkeys_of(database, user) == []
    await refused(client, device.show(await ask(client, "sign-in")), "This site does not know this passkey.")


async def test_only_failures_are_counted(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys.FAILURES_PER_ADDRESS, "limit", 2)
    device = await add(app, user)
    for _ in range(3):
        assert (await sign_in(client, device)).headers["location"] == "/"
    for _ in range(2):
        assert (await client.post(SIGN_IN, data={"passkey": "x"})).status_code == 303
    late = await sign_in(client, device)
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)


HOSTILE: list[Any] = [None, 7, "é", "\ud800", "\x00", {"a": 1}]
"""Falsified responses of a device, one for each part."""
KEYS: list[Any] = [7, {}, {1: 2, 3: -7, -1: 1, -2: 7, -3: "x"}, {1: 3, 3: -257, -1: 7, -2: []}]
MAKERS = ("packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", 7)
STATEMENTS: list[Any] = [{}, 7, {"x5c": [b"x"], "sig": 7, "alg": -7, "ver": "2.0", "response": b"x"}]


async def test_malformed_assertions_are_refused(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace, cut or change each part of both responses in turn."""
    for limit in (passkeys.FAILURES_PER_ADDRESS, passkeys.FAILURES_PER_USER):
        monkeypatch.setattr(limit, "limit", 10_000)
    # Challenges are valid once; this test reuses one.
    monkeypatch.setattr(webauthn.CHALLENGES, "limit", 10_000)
    device = await add(app, user, Authenticator(counts=False))
    assertion = json.loads(device.show(await ask(client, "sign-in")))
    for response in false_data(assertion):
        assert (await client.post(SIGN_IN, data={"passkey": response})).status_code in {303, 422}, response
        assert "session" not in client.cookies, response
    async with signed_in_client(app, user) as owner:
        await confirmed(app.state.database)
        question = await ask(owner, "add")
        created = json.loads(Authenticator().create(question))
        del created["credential"]["response"]["transports"]
        for response in [*false_data(created), *lying_devices(question)]:
            result = await owner.post(f"{PASSKEYS}/add", data={"name": "x", "passkey": response})
            assert result.status_code in {303, 422}, response  # bytes after a complete response are ignored


def false_data(right: dict[str, Any]) -> list[str]:
    texts = ["", "null", "[]", "7", "[" * 100_000, '{"state":' + "9" * 5000 + "}", "x" * 60_000]
    response = right["credential"]["response"]
    more = cycle(HOSTILE)
    credential = right["credential"]
    texts += [json.dumps({**right, "state": next(more)}), json.dumps({**right, "credential": next(more)})]
    texts += [json.dumps({**right, "credential": {**credential, key: next(more)}}) for key in credential]
    texts += [with_response(right, {**response, key: next(more)}) for key in response]
    wrongs = cycle(range(5))
    for key, value in response.items():
        changed = (value[:-4], value[:40], "A" + value[1:], value[:60] + "____" + value[64:], value + "AAAA")
        some = {changed[next(wrongs)] for _ in range(2)}
        texts += [with_response(right, {**response, key: change}) for change in some if change != value]
    return texts


def lying_devices(question: Any) -> Iterator[str]:
    """Invalid public keys and attestation statements."""
    device = Authenticator()
    yield from (device.create(question, key=cbor2.dumps(key)) for key in KEYS)
    yield device.create(question, key=b"\x81" * 20_000)
    data = ({"fmt": maker, "attStmt": statement} for maker, statement in zip(MAKERS, cycle(STATEMENTS), strict=False))
    yield from (device.create(question, statement=item) for item in data)


async def test_damaged_stored_key_is_refused(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user)
    off_the_curve = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)})
    for key in ("", "é", as_text(off_the_curve)):
        async with app.state.database.writer() as session:
            await session.execute(update(Passkey).values(public_key=key))
        await refused(client, device.show(await ask(client, "sign-in")), NOT_VERIFIED)


def with_response(right: dict[str, Any], response: dict[str, Any]) -> str:
    return json.dumps({**right, "credential": {**right["credential"], "response": response}})
