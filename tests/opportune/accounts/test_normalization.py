"""Passwords and e-mail addresses that keyboards and systems send in different Unicode forms."""

import unicodedata

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.accounts.passwords import hashing
from opportune.config.email_domains import normalize_email
from opportune.testing import make_user
from tests.opportune.accounts.stored_rows import set_all

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
    await set_all(app.state.database, User, hashed_password=hashing.password_helper.hash(DECOMPOSED))
    assert not await log_in(client, user.email, COMPOSED)
    assert await log_in(client, user.email, DECOMPOSED)
    assert await log_in(client, user.email, COMPOSED)


async def test_length_counts_normalized_characters(client: AsyncClient) -> None:
    short = unicodedata.normalize("NFD", "äöüäöü")
    response = await client.post("/accounts/register", data={"email": "zoe@example.com", "password": short})
    assert response.status_code == 422
    assert "at least" in response.text
