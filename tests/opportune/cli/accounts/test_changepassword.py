"""`changepassword`: new passwords, and refused arguments."""

import pytest
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import make_user
from tests.opportune.cli.accounts.conftest import Run

EMAIL = "ada@example.com"
NEW_PASSWORD = "another good password"


@pytest.mark.parametrize(
    ("options", "environ"), [(["--password", NEW_PASSWORD], {}), ([], {"NEW_PASSWORD": NEW_PASSWORD})]
)
async def test_new_password_signs_in(
    client: AsyncClient, database: Database, run: Run, options: list[str], environ: dict[str, str]
) -> None:
    await make_user(database, EMAIL)
    outcome = await run("changepassword", "ADA@example.com", *options, **environ)
    assert outcome.code == 0
    assert NEW_PASSWORD not in outcome.out
    response = await client.post("/accounts/login", data={"email": EMAIL, "password": NEW_PASSWORD})
    assert response.status_code == 303


async def test_new_password_ends_all_sessions(user: User, user_client: AsyncClient, run: Run) -> None:
    assert (await user_client.get("/accounts/profile")).status_code == 200
    await run("changepassword", user.email, "--password", NEW_PASSWORD)
    assert (await user_client.get("/accounts/profile")).status_code == 303


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([EMAIL, "--password", EMAIL], 1, "This password is too close to your name, your e-mail address"),
        (["eve@example.com", "--password", NEW_PASSWORD], 1, "There is no user with the e-mail eve@example.com."),
        ([EMAIL, "--no-input"], 2, "NEW_PASSWORD"),
        (["--no-input", "--password", NEW_PASSWORD], 2, "changepassword EMAIL"),
    ],
)
async def test_refusals(database: Database, run: Run, arguments: list[str], code: int, message: str) -> None:
    await make_user(database, EMAIL)
    assert message in (await run("changepassword", *arguments)).line(code)
