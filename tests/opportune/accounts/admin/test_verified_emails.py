"""Data stored by e-mail is shown only after the address is verified."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.feature import Accounts, Feature, Person, PersonalData
from opportune.testing.factories import PASSWORD, add_permission, make_user, signed_in_client
from tests.opportune.stored_rows import read_one

STRANGER, NEW_PASSWORD = "stranger@example.com", "an altogether new one"
SEATS_BY_EMAIL = {STRANGER: "a seat at the clinic"}
VERIFIED_FORM = {"is_verified": "y", "is_active": "y", "save": "Save"}


@pytest.fixture
async def site(app: FastAPI) -> FastAPI:
    """Site with a feature that stores data by e-mail, like registrations for events."""

    async def read(_session: AsyncSession, user: Person) -> dict[str, list[dict[str, Any]]]:
        return {"seats": [{"what": SEATS_BY_EMAIL[user.email]}] if user.email in SEATS_BY_EMAIL else []}

    seats = PersonalData(summary="Your seats", read=read)
    app.state.features = [*app.state.features, Feature("seats", accounts=Accounts(personal_data=seats))]
    return app


@pytest.fixture
async def staff(site: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of staff with all permissions on users. Without a password, signing in has confirmed their identity."""
    user = await make_user(site.state.database, "staff@example.com", is_staff=True, hashed_password="")
    await add_permission(site.state.database, user, "user", "*")
    async with signed_in_client(site, user) as client:
        yield client


async def read_user(site: FastAPI, email: str = STRANGER) -> Any:
    return await read_one(site, User, email=email)


async def export_seats(site: FastAPI, password: str, email: str = STRANGER) -> list[Any]:
    """Sign in with this password and return the data stored by e-mail from the export."""
    async with AsyncClient(transport=ASGITransport(site), base_url="http://testserver") as client:
        response = await client.post("/accounts/login", data={"email": email, "password": password})
        assert response.status_code == 303, response.text
        seats: list[Any] = (await client.get("/accounts/data/export")).json()["seats"]["seats"]
        return seats


async def test_account_created_by_staff_is_unverified(site: FastAPI, staff: AsyncClient) -> None:
    assert 'name="is_verified"' not in (await staff.get("/admin/user/create")).text
    form_data = {**VERIFIED_FORM, "email": STRANGER, "password": NEW_PASSWORD}
    assert (await staff.post("/admin/user/create", data=form_data)).status_code == 303
    assert not (await read_user(site)).is_verified
    assert await export_seats(site, NEW_PASSWORD) == []


async def test_email_changed_by_staff_is_unverified(site: FastAPI, staff: AsyncClient) -> None:
    user = await make_user(site.state.database, "mine@example.com", is_verified=True)
    address = f"/admin/user/edit/{user.id}"
    assert 'name="is_verified"' not in (await staff.get(address)).text
    assert (await staff.post(address, data={**VERIFIED_FORM, "email": STRANGER})).status_code == 303
    assert await export_seats(site, PASSWORD) == []
    assert (await staff.post(address, data={**VERIFIED_FORM, "email": STRANGER, "name": "Again"})).status_code == 303
    assert not (await read_user(site)).is_verified


async def test_password_set_by_staff_unverifies_the_account(site: FastAPI, staff: AsyncClient) -> None:
    owner = await make_user(site.state.database, STRANGER, is_verified=True)
    assert await export_seats(site, PASSWORD) == [{"what": SEATS_BY_EMAIL[STRANGER]}], "belongs to the owner"
    form_data = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
    assert (await staff.post(f"/admin/user/password/{owner.id}", data=form_data)).status_code == 303
    assert await export_seats(site, NEW_PASSWORD) == []
    assert "Verified" in (await staff.get(f"/admin/user/history/{owner.id}")).text


async def test_other_changes_by_staff_keep_verification(site: FastAPI, staff: AsyncClient) -> None:
    owner = await make_user(site.state.database, STRANGER, is_verified=True)
    form_data = {"email": STRANGER.upper(), "save": "Save"}
    assert (await staff.post(f"/admin/user/edit/{owner.id}", data=form_data)).status_code == 303
    assert not (await read_user(site)).is_active
    assert (await read_user(site)).is_verified


async def test_superuser_can_verify_an_address(site: FastAPI, admin: AsyncClient) -> None:
    form_data = {**VERIFIED_FORM, "email": "known@example.com", "password": NEW_PASSWORD}
    assert (await admin.post("/admin/user/create", data=form_data)).status_code == 303
    user = await read_user(site, "known@example.com")
    assert user.is_verified
    form = {**VERIFIED_FORM, "email": STRANGER}
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    assert (await admin.post(f"/admin/user/edit/{user.id}", data=form)).status_code == 303
    assert await export_seats(site, NEW_PASSWORD) == [{"what": SEATS_BY_EMAIL[STRANGER]}]
