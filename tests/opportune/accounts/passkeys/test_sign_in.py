"""Sign in by a passkey: alone, or after the password, and by nothing that only looks like one."""

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
    passkeys_of,
    said,
    sign_in,
    type_password,
)

pytestmark = pytest.mark.database("sqlite")

NOT_OURS, NOT_BELIEVED = webauthn.NOT_OURS, webauthn.NOT_BELIEVED


async def refused(client: AsyncClient, answer: str, words: str, path: str = SIGN_IN) -> None:
    page = await said(client, await client.post(path, data={"passkey": answer}))
    assert words in page
    assert not await is_signed_in(client)


async def test_a_passkey_alone_signs_in_and_leads_on(
    app: FastAPI, client: AsyncClient, user: User, database: Database
) -> None:
    device = await add(app, user)
    answer = await sign_in(
        client, device, next="/accounts/sessions", remember="true", email="nobody", password="nonsense"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/sessions")
    assert "Max-Age=2592000" in answer.headers["set-cookie"]
    assert await is_signed_in(client)
    (passkey,) = await passkeys_of(database, user)
    assert (passkey.sign_count, passkey.used_at is not None) == (1, True)
    away = await sign_in(client, device, next="//evil.example")
    assert away.headers["location"] == "/"


async def test_an_answer_counts_once_and_a_synced_passkey_that_counts_nothing_signs_in_again_and_again(
    app: FastAPI, client: AsyncClient, user: User
) -> None:
    device = await add(app, user, Authenticator(counts=False))
    for _ in range(2):
        assert (await sign_in(client, device)).headers["location"] == "/"

    answer = device.show(await ask(client, "sign-in"))
    assert (await client.post(SIGN_IN, data={"passkey": answer})).headers["location"] == "/"
    client.cookies.delete("session")
    await refused(client, answer, NOT_OURS)


async def test_an_answer_counts_in_the_browser_and_for_what_it_was_asked(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await add(app, user)
    async with signed_in_client(app, user) as owner:
        for question in (await ask(owner, "confirm"), await ask(owner, "add")):
            await refused(client, device.show(question), NOT_OURS)
    other = AsyncClient(transport=client._transport, base_url=client.base_url)
    await ask(client, "sign-in")
    await refused(client, device.show(await ask(other, "sign-in")), NOT_OURS)
    question = await ask(client, "sign-in")
    monkeypatch.setattr(webauthn, "LIFETIME_SECONDS", -1)
    await refused(client, device.show(question), NOT_OURS)


async def test_another_site_origin_challenge_signature_or_person_is_not_believed(
    app: FastAPI, client: AsyncClient, user: User
) -> None:
    device = await add(app, user)
    for field, value in (("origin", "http://evil.example"), ("rp_id", "evil.example")):
        right = getattr(device, field)
        setattr(device, field, value)
        await refused(client, device.show(await ask(client, "sign-in")), NOT_BELIEVED)
        setattr(device, field, right)
    question = await ask(client, "sign-in")
    other = {**await ask(client, "sign-in"), "state": question["state"]}
    await refused(client, device.show(other), NOT_BELIEVED)
    forged = Authenticator(number=device.number, handle=device.handle)
    await refused(client, forged.show(await ask(client, "sign-in")), NOT_BELIEVED)

    device.handle = (await add(app, await make_user(app.state.database))).handle
    for lie in ({}, {"userHandle": None}):
        await refused(client, device.show(await ask(client, "sign-in"), **lie), NOT_BELIEVED)


async def test_a_copy_that_is_behind_the_original_is_refused(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user)
    await sign_in(client, device)
    client.cookies.delete("session")
    device.count = 0
    await refused(client, device.show(await ask(client, "sign-in")), NOT_BELIEVED)


async def test_without_a_look_at_the_person_it_is_no_way_in_alone_but_a_second_factor(
    app: FastAPI, client: AsyncClient, user: User
) -> None:
    device = await add(app, user, Authenticator(verifies=False))
    await refused(client, device.show(await ask(client, "sign-in")), NOT_BELIEVED)

    asked = await type_password(client, next="/accounts/sessions", remember="true")
    assert asked.headers["location"] == CODE
    assert not await is_signed_in(client)
    page = await client.get(CODE)
    assert 'data-passkey="second-step"' in page.text
    question = await ask(client, "second-step")
    assert [each["id"] for each in question["publicKey"]["allowCredentials"]]
    answer = await client.post(SECOND_STEP, data={"passkey": device.show(question, userHandle=None)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/sessions")
    assert await is_signed_in(client)


async def test_the_second_step_takes_no_passkey_of_others_and_none_that_was_asked_for_something_else(
    app: FastAPI, client: AsyncClient, user: User
) -> None:
    device, other = await add(app, user), await add(app, await make_user(app.state.database))
    assert (await client.post(SECOND_STEP, data={"passkey": "x"})).headers["location"] == LOGIN
    stranger = await client.post(f"{SIGN_IN}/options", data={"purpose": "second-step"})
    assert (stranger.status_code, stranger.content) == (204, b"")
    await type_password(client)
    await refused(client, other.show(await ask(client, "second-step")), NOT_BELIEVED, SECOND_STEP)
    await refused(client, device.show(await ask(client, "sign-in")), NOT_OURS, SECOND_STEP)
    await refused(client, device.show(await ask(client, "second-step")), NOT_OURS, SIGN_IN)


async def test_a_passkey_has_to_come_from_a_form_of_this_site_and_programs_send_a_code_and_who_is_gone_stays_out(
    app: FastAPI, client: AsyncClient, user: User
) -> None:
    device = await add(app, user)
    answer = device.show(await ask(client, "sign-in"))
    for path in (SIGN_IN, f"{SIGN_IN}/options", f"{PASSKEYS}/add"):
        sent = await client.post(path, data={"passkey": answer}, headers={"origin": "https://evil.example"})
        assert sent.status_code == 403, path

    form = {"username": EMAIL, "password": PASSWORD}
    for code in ("", "123456"):
        assert (await client.post("/api/v1/auth/login", data={**form, "code": code})).status_code == 401

    database = app.state.database
    async with database.writer() as session:
        await session.execute(update(User).values(is_active=False))
    await refused(client, device.show(await ask(client, "sign-in")), passkeys.CLOSED)
    async with database.writer() as session:
        await session.delete(await session.get_one(User, user.id))
    assert await passkeys_of(database, user) == []
    await refused(client, device.show(await ask(client, "sign-in")), "This site does not know this passkey.")


async def test_failures_are_counted_and_success_is_not(
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
"""The next one for each part: one decoder reads all that are alike."""
KEYS: list[Any] = [7, {}, {1: 2, 3: -7, -1: 1, -2: 7, -3: "x"}, {1: 3, 3: -257, -1: 7, -2: []}]
MAKERS = ("packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", 7)
STATEMENTS: list[Any] = [{}, 7, {"x5c": [b"x"], "sig": 7, "alg": -7, "ver": "2.0", "response": b"x"}]


async def test_nonsense_in_every_field_is_refused_and_never_an_error(
    app: FastAPI, client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part of both answers in turn is something that it cannot be, or its bytes are cut or changed."""
    for limit in (passkeys.FAILURES_PER_ADDRESS, passkeys.FAILURES_PER_USER):
        monkeypatch.setattr(limit, "limit", 10_000)
    # A challenge counts once; here one has to do for all.
    monkeypatch.setattr(webauthn.CHALLENGES, "limit", 10_000)
    device = await add(app, user, Authenticator(counts=False))
    shown = json.loads(device.show(await ask(client, "sign-in")))
    for answer in lies(shown):
        assert (await client.post(SIGN_IN, data={"passkey": answer})).status_code in {303, 422}, answer
        assert "session" not in client.cookies, answer
    async with signed_in_client(app, user) as owner:
        await confirmed(app.state.database)
        question = await ask(owner, "add")
        made = json.loads(Authenticator().create(question))
        del made["credential"]["response"]["transports"]
        for answer in [*lies(made), *lying_devices(question)]:
            sent = await owner.post(f"{PASSKEYS}/add", data={"name": "x", "passkey": answer})
            assert sent.status_code in {303, 422}, answer  # what follows a whole answer is not looked at


def lies(right: dict[str, Any]) -> list[str]:
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
        texts += [with_response(right, {**response, key: wrong}) for wrong in some if wrong != value]
    return texts


def lying_devices(question: Any) -> Iterator[str]:
    """What is no public key, or tells of a maker in a way that no maker would."""
    device = Authenticator()
    yield from (device.create(question, key=cbor2.dumps(key)) for key in KEYS)
    yield device.create(question, key=b"\x81" * 20_000)
    told = ({"fmt": maker, "attStmt": statement} for maker, statement in zip(MAKERS, cycle(STATEMENTS), strict=False))
    yield from (device.create(question, statement=each) for each in told)


async def test_a_key_that_is_stored_wrongly_lets_nobody_in(app: FastAPI, client: AsyncClient, user: User) -> None:
    device = await add(app, user)
    off_the_curve = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)})
    for key in ("", "é", as_text(off_the_curve)):
        async with app.state.database.writer() as session:
            await session.execute(update(Passkey).values(public_key=key))
        await refused(client, device.show(await ask(client, "sign-in")), NOT_BELIEVED)


def with_response(right: dict[str, Any], response: dict[str, Any]) -> str:
    return json.dumps({**right, "credential": {**right["credential"], "response": response}})
