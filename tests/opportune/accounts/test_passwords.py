"""Rules for new passwords, their hashing in threads with low priority, and Unicode forms of what users type."""

import asyncio
import gzip
import hashlib
import os
import sys
import threading
import unicodedata
from importlib.resources import files
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher

from opportune.accounts import User
from opportune.accounts.passwords import hashing
from opportune.accounts.passwords.rules import find_offline_problem, find_password_problem
from opportune.config.email_domains import normalize_email
from opportune.config.settings import Settings
from opportune.errors import Busy
from opportune.testing import make_user
from opportune.testing.plugin import settings_for
from tests.opportune.stored_rows import set_all

LONG_PASSWORD = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(16))
EMAIL = "john.smith@analytical-engines.co.uk"
GUESSABLE = "Password123 basketball qwertzuiop abcabcabcabc 24.12.2026 P@ssw0rd!!"
MADE_OF_NAMES = "johnsmith1 4n4lytic4l kraftwerk-bauhof BauhofKraftwerk kraftwerk1 ada.lovelace lovelace1815"


@pytest.fixture
def site_settings() -> Settings:
    return settings_for("sqlite://").model_copy(update={"site_name": "Kraftwerk Bauhof"})


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("1234567", "at least 8"),
        ("x" * 1025, "at most 1024"),
        ("nul\0 is no character", "NUL"),
        ("half a character: \ud800", "Unicode"),
        *((password, "easy to guess") for password in (*GUESSABLE.split(), "x" * 1024)),
    ],
)
def test_weak_password_is_refused(site_settings: Settings, password: str, message: str) -> None:
    assert message in (find_offline_problem(password, EMAIL, site_settings) or "")


@pytest.mark.parametrize("password", [EMAIL.upper(), *MADE_OF_NAMES.split()])
def test_password_made_of_names_is_refused(site_settings: Settings, password: str) -> None:
    assert "name" in (find_offline_problem(password, EMAIL, site_settings, "Ada Lovelace") or "")


@pytest.mark.parametrize(
    "password", ["rX7#pQ2z", "vkzpmtwq", "correct-horse", "пароль из слов", "  spaces around  ", LONG_PASSWORD]
)
def test_strong_password_is_accepted(site_settings: Settings, password: str) -> None:
    assert find_offline_problem(password, EMAIL, site_settings) is None


def test_min_password_length_is_a_setting(site_settings: Settings) -> None:
    longer = site_settings.model_copy(update={"min_password_length": 15})
    assert "at least 15" in (find_offline_problem("rX7#pQ2zuW5§wM", EMAIL, longer) or "")
    assert find_offline_problem("rX7#pQ2zuW5§wMv", EMAIL, longer) is None


def test_most_of_django_common_passwords_are_refused(site_settings: Settings) -> None:
    packed = files("django.contrib.auth").joinpath("common-passwords.txt.gz").read_bytes()
    # Check every fortieth password, because all 8,354 that are long enough take 4 s.
    common = [line for line in gzip.decompress(packed).decode().split() if len(line) >= 8][::40]
    accepted = [password for password in common if not find_offline_problem(password, EMAIL, site_settings)]
    assert len(accepted) < len(common) * 0.06


async def test_words_of_one_user_are_not_used_for_another(site_settings: Settings) -> None:
    assert await find_password_problem("lovelace1815", EMAIL, site_settings, "Ada Lovelace")
    assert await find_password_problem("zarquon-bleem", "zarquon.bleem@example.com", site_settings)
    assert await find_password_problem("zarquon-bleem", EMAIL, site_settings) is None


async def test_hashing_does_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    priorities: set[int] = set()
    original = hashing.password_helper

    class Spy:
        def hash(self, password: str) -> str:
            threads.append(threading.get_ident())
            priorities.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return original.hash(password)

        def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
            threads.append(threading.get_ident())
            return original.verify_and_update(plain_password, hashed_password)

    monkeypatch.setattr(hashing, "password_helper", Spy())
    assert (await hashing.verify_password("a long password", await hashing.hash_password("a long password")))[0]
    await hashing.verify_without_user("a long password")
    assert len(threads) == 3
    assert threading.get_ident() not in threads
    if sys.platform == "linux":
        assert min(priorities) > os.getpriority(os.PRIO_PROCESS, 0), "the event loop has priority"


async def test_characters_after_the_longest_password_count() -> None:
    stored = await hashing.hash_password("x" * hashing.MAX_PASSWORD_LENGTH)
    assert (await hashing.verify_password("x" * hashing.MAX_PASSWORD_LENGTH, stored))[0]
    assert not (await hashing.verify_password("x" * (hashing.MAX_PASSWORD_LENGTH + 1), stored))[0]


def test_unusable_hash_is_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    helper = hashing._PasswordHelper()
    monkeypatch.setattr(helper, "hash", hashed.append)
    for stored in (
        "$2b$12$abcdefghijklmnopqrstuu",
        *(f"$argon2id$v=19$m=65536,t=3,p=4${end}" for end in ("c2FsdA", "é$é")),
    ):
        assert helper.verify_and_update("correct horse", stored) == (False, None)
    assert hashed == ["correct horse"] * 3, "the time does not reveal the account"


async def test_full_queue_refuses_further_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Slow:
        def hash(self, password: str) -> str:
            assert release.wait(30)
            return password

    monkeypatch.setattr(hashing, "password_helper", Slow())
    monkeypatch.setattr(hashing, "MAX_WAITING_HASHES", 3)
    hashes = [asyncio.ensure_future(hashing.hash_password("a long password")) for _ in range(3)]
    await asyncio.sleep(0)  # let the tasks join the queue
    try:
        with pytest.raises(Busy):
            await hashing.hash_password("a long password")
    finally:
        release.set()
    await asyncio.gather(*hashes)

    assert await hashing.hash_password("a long password")


def test_small_machine_uses_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    weak_hash = Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1).hash("a long password")
    monkeypatch.setattr(hashing, "total_memory_bytes", lambda: 512_000_000)
    helper = hashing._PasswordHelper()
    new_hash = helper.verify_and_update("a long password", weak_hash)[1] or ""
    assert "$m=33792,t=2,p=1$" in new_hash
    assert helper.verify_and_update("a long password", new_hash) == (True, None)
    monkeypatch.setattr(hashing, "total_memory_bytes", lambda: None)
    helper_hasher: Any = hashing._PasswordHelper()._password_hash.current_hasher
    hasher = helper_hasher._hasher  # a real hash would take 0.1 seconds
    assert (hasher.memory_cost, hasher.time_cost, hasher.parallelism) == (65536, 3, 4)


COMPOSED, DECOMPOSED = "Bärenhöhle am Fluß", unicodedata.normalize("NFD", "Bärenhöhle am Fluß")
EMAILS = [("zoe@müller.example", "zoe@MU\u0308LLER.example"), ("zoë@example.com", "ZOE\u0308@example.com")]


async def log_in(client: AsyncClient, email: str, password: str) -> bool:
    response = await client.post("/accounts/login", data={"email": email, "password": password})
    client.cookies.clear()
    return response.status_code == 303


@pytest.mark.parametrize(("stored", "typed"), EMAILS)
async def test_each_form_of_an_address_signs_in(app: FastAPI, client: AsyncClient, stored: str, typed: str) -> None:
    await make_user(app.state.database, stored, COMPOSED)
    assert await log_in(client, typed, COMPOSED)
    assert normalize_email(typed) == stored


@pytest.mark.parametrize("stored", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
async def test_each_form_of_a_password_is_correct(stored: str, typed: str) -> None:
    hashed = await hashing.hash_password(stored)
    assert (await hashing.verify_password(typed, hashed))[0]
    assert not (await hashing.verify_password(typed.replace("ß", "ss"), hashed))[0]


async def test_earlier_hash_works_and_is_replaced(app: FastAPI, client: AsyncClient) -> None:
    user = await make_user(app.state.database, password=COMPOSED)
    await set_all(app, User, hashed_password=hashing.password_helper.hash(DECOMPOSED))
    assert not await log_in(client, user.email, COMPOSED)
    assert await log_in(client, user.email, DECOMPOSED)
    assert await log_in(client, user.email, COMPOSED)


async def test_length_counts_normalized_characters(client: AsyncClient) -> None:
    short = unicodedata.normalize("NFD", "äöüäöü")
    response = await client.post("/accounts/register", data={"email": "zoe@example.com", "password": short})
    assert response.status_code == 422
    assert "at least" in response.text
