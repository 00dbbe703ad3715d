"""Sign-in by passkey, alone or as the second factor."""

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import cbor2
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.accounts.sign_in_methods import passkeys, webauthn
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.conftest import is_signed_in
from tests.opportune.accounts.passkeys import conftest as keys
from tests.opportune.accounts.passkeys.authenticator import Authenticator
from tests.opportune.stored_rows import delete_row, set_all

NOT_STARTED_HERE, NOT_VERIFIED = webauthn.NOT_STARTED_HERE, webauthn.NOT_VERIFIED


async def assert_refused(client: AsyncClient, response: str, message: str, path: str = keys.SIGN_IN) -> None:
    assert message in (await keys.follow_redirect(client, await client.post(path, data={"passkey": response})))
    assert not await is_signed_in(client)


async def test_passkey_signs_in(app: FastAPI, client: AsyncClient, user: User, database: Database) -> None:
    device = await keys.add_passkey(app, user)
    form = {"next": "/accounts/sessions", "remember": "true", "email": "nobody", "password": "nonsense"}
    response = await keys.sign_in(client, device, **form)
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/sessions")
    assert "Max-Age=2592000" in response.headers["set-cookie"]
    assert await is_signed_in(client)
    (passkey,) = await keys.read_passkeys(database, user)
    assert (passkey.sign_count, passkey.used_at is not None) == (1, True)
    response = await keys.sign_in(client, device, next="//evil.example")
    assert response.headers["location"] == "/"


async def test_assertion_is_valid_once(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await keys.add_passkey(app, user, Authenticator(has_sign_count=False))
    for _ in range(2):
        assert (await keys.sign_in(client, device)).headers["location"] == "/"
    response = await keys.sign(client, device)
    assert (await client.post(keys.SIGN_IN, data={"passkey": response})).headers["location"] == "/"
    client.cookies.delete("session")
    await assert_refused(client, response, NOT_STARTED_HERE)


async def test_assertion_is_bound_to_browser_and_purpose(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await keys.add_passkey(app, user)
    async with signed_in_client(app, user) as owner:
        for options in (await keys.get_options(owner, "confirm"), await keys.get_options(owner, "add")):
            await assert_refused(client, device.sign(options), NOT_STARTED_HERE)
    other_browser = AsyncClient(transport=client._transport, base_url=client.base_url)
    await keys.get_options(client, "sign-in")
    await assert_refused(client, await keys.sign(other_browser, device), NOT_STARTED_HERE)
    options = await keys.get_options(client, "sign-in")
    monkeypatch.setattr(webauthn, "LIFETIME_SECONDS", -1)
    await assert_refused(client, device.sign(options), NOT_STARTED_HERE)


async def test_forged_assertion_is_refused(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await keys.add_passkey(app, user)
    for field, value in (("origin", "http://evil.example"), ("rp_id", "evil.example")):
        original = getattr(device, field)
        setattr(device, field, value)
        await assert_refused(client, await keys.sign(client, device), NOT_VERIFIED)
        setattr(device, field, original)
    options = await keys.get_options(client, "sign-in")
    mixed = {**await keys.get_options(client, "sign-in"), "state": options["state"]}
    await assert_refused(client, device.sign(mixed), NOT_VERIFIED)
    forged = Authenticator(credential_id=device.credential_id, user_handle=device.user_handle)
    await assert_refused(client, await keys.sign(client, forged), NOT_VERIFIED)
    device.user_handle = (await keys.add_passkey(app, await make_user(app.state.database))).user_handle
    for fields in ({}, {"userHandle": None}):
        await assert_refused(client, device.sign(await keys.get_options(client, "sign-in"), **fields), NOT_VERIFIED)


async def test_lower_sign_count_is_refused(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await keys.add_passkey(app, user)
    await keys.sign_in(client, device)
    client.cookies.delete("session")
    device.sign_count = 0
    await assert_refused(client, await keys.sign(client, device), NOT_VERIFIED)


async def test_unverified_user_is_a_second_factor_only(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await keys.add_passkey(app, user, Authenticator(verifies=False))
    await assert_refused(client, await keys.sign(client, device), NOT_VERIFIED)
    response = await keys.send_password(client, next="/accounts/sessions", remember="true")
    assert response.headers["location"] == keys.CODE
    assert not await is_signed_in(client)
    assert 'data-passkey="second-step"' in (await client.get(keys.CODE)).text
    options = await keys.get_options(client, "second-step")
    assert [item["id"] for item in options["publicKey"]["allowCredentials"]]
    response = await client.post(keys.SECOND_STEP, data={"passkey": device.sign(options, userHandle=None)})
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/sessions")
    assert await is_signed_in(client)


async def test_second_step_refuses_other_passkeys(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await keys.add_passkey(app, user)
    other_device = await keys.add_passkey(app, await make_user(app.state.database))
    assert (await client.post(keys.SECOND_STEP, data={"passkey": "x"})).headers["location"] == keys.LOGIN
    visitor = await client.post(f"{keys.SIGN_IN}/options", data={"purpose": "second-step"})
    assert (visitor.status_code, visitor.content) == (204, b"")
    await keys.send_password(client)
    foreign = await keys.sign(client, other_device, "second-step")
    await assert_refused(client, foreign, NOT_VERIFIED, keys.SECOND_STEP)
    await assert_refused(client, await keys.sign(client, device), NOT_STARTED_HERE, keys.SECOND_STEP)
    await assert_refused(client, await keys.sign(client, device, "second-step"), NOT_STARTED_HERE, keys.SIGN_IN)


async def test_passkey_needs_this_site_and_an_active_user(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await keys.add_passkey(app, user)
    response = await keys.sign(client, device)
    for path in (keys.SIGN_IN, f"{keys.SIGN_IN}/options", f"{keys.PASSKEYS}/add"):
        sent = await client.post(path, data={"passkey": response}, headers={"origin": "https://evil.example"})
        assert sent.status_code == 403, path
    form = {"username": keys.EMAIL, "password": PASSWORD}
    for code in ("", "123456"):
        assert (await client.post("/api/v1/auth/login", data={**form, "code": code})).status_code == 401
    database = app.state.database
    await set_all(database, User, is_active=False)
    await assert_refused(client, await keys.sign(client, device), passkeys.DEACTIVATED)
    await delete_row(database, user)
    assert await keys.read_passkeys(database, user) == []
    await assert_refused(client, await keys.sign(client, device), "This site does not know this passkey.")


async def test_only_failures_count(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys.FAILURES_PER_IP, "limit", 2)
    device = await keys.add_passkey(app, user)
    for _ in range(3):
        assert (await keys.sign_in(client, device)).headers["location"] == "/"
    for _ in range(2):
        assert (await client.post(keys.SIGN_IN, data={"passkey": "x"})).status_code == 303
    response = await keys.sign_in(client, device)
    assert (response.status_code, int(response.headers["retry-after"]) > 0) == (429, True)


INVALID_VALUES: list[Any] = [None, 7, "é", "\ud800", "\x00", {"a": 1}]
"""Values that replace one field of a valid response."""
INVALID_PUBLIC_KEYS: list[Any] = [7, {}, {1: 2, 3: -7, -1: 1, -2: 7, -3: "x"}, {1: 3, 3: -257, -1: 7, -2: []}]
ATTESTATION_FORMATS = ("packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", 7)
ATTESTATION_STATEMENTS: list[Any] = [{}, 7, {"x5c": [b"x"], "sig": 7, "alg": -7, "ver": "2.0", "response": b"x"}]


async def test_malformed_assertions_are_refused(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace, cut or change each part of both responses in turn."""
    for limit in (passkeys.FAILURES_PER_IP, passkeys.FAILURES_PER_USER):
        monkeypatch.setattr(limit, "limit", 10_000)
    # Challenges are valid once; this test reuses one.
    monkeypatch.setattr(webauthn.CHALLENGES, "limit", 10_000)
    device = await keys.add_passkey(app, user, Authenticator(has_sign_count=False))
    assertion = json.loads(await keys.sign(client, device))
    for response in falsify_responses(assertion):
        assert (await client.post(keys.SIGN_IN, data={"passkey": response})).status_code in {303, 422}, response
        assert "session" not in client.cookies, response
    async with signed_in_client(app, user) as owner:
        await keys.confirm_sessions(app.state.database)
        options = await keys.get_options(owner, "add")
        created = json.loads(Authenticator().create(options))
        del created["credential"]["response"]["transports"]
        for response in [*falsify_responses(created), *make_invalid_attestations(options)]:
            result = await owner.post(f"{keys.PASSKEYS}/add", data={"name": "x", "passkey": response})
            assert result.status_code in {303, 422}, response  # bytes after a complete response are ignored


def falsify_responses(valid: dict[str, Any]) -> list[str]:
    responses = ["", "null", "[]", "7", "[" * 100_000, '{"state":' + "9" * 5000 + "}", "x" * 60_000]
    response = valid["credential"]["response"]
    values = cycle(INVALID_VALUES)
    credential = valid["credential"]
    responses += [json.dumps({**valid, "state": next(values)}), json.dumps({**valid, "credential": next(values)})]
    responses += [json.dumps({**valid, "credential": {**credential, key: next(values)}}) for key in credential]
    responses += [replace_response(valid, {**response, key: next(values)}) for key in response]
    indexes = cycle(range(5))
    for key, value in response.items():
        changed = (value[:-4], value[:40], "A" + value[1:], value[:60] + "____" + value[64:], value + "AAAA")
        selected = {changed[next(indexes)] for _ in range(2)}
        responses += [replace_response(valid, {**response, key: change}) for change in selected if change != value]
    return responses


def make_invalid_attestations(options: Any) -> Iterator[str]:
    """Invalid public keys and attestation statements."""
    device = Authenticator()
    yield from (device.create(options, key=cbor2.dumps(key)) for key in INVALID_PUBLIC_KEYS)
    yield device.create(options, key=b"\x81" * 20_000)
    for format_, statement in zip(ATTESTATION_FORMATS, cycle(ATTESTATION_STATEMENTS), strict=False):
        yield device.create(options, statement={"fmt": format_, "attStmt": statement})


def replace_response(valid: dict[str, Any], response: dict[str, Any]) -> str:
    return json.dumps({**valid, "credential": {**valid["credential"], "response": response}})
