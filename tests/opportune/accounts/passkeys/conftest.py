"""Users with passkeys, and requests of their browsers."""

from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts.models import AccountEvent, Passkey, Session, User
from opportune.db import Database, utc_now
from opportune.testing.factories import PASSWORD, signed_in_client
from tests.opportune.accounts.passkeys.authenticator import Authenticator
from tests.opportune.stored_rows import read_all, set_all

LOGIN, CODE, PASSKEYS = "/accounts/login", "/accounts/login/code", "/accounts/passkeys"
SIGN_IN, SECOND_STEP = f"{LOGIN}/passkey", f"{CODE}/passkey"
EMAIL = "ada@example.com"


async def get_options(client: AsyncClient, purpose: str) -> Any:
    """Return the options that a page passes to the browser."""
    path = PASSKEYS if purpose in {"add", "confirm"} else SIGN_IN
    response = await client.post(f"{path}/options", data={"purpose": purpose})
    assert response.status_code == 200, response.text
    return response.json()


async def sign(client: AsyncClient, device: Authenticator, purpose: str = "sign-in") -> str:
    return device.sign(await get_options(client, purpose))


async def add_passkey(app: FastAPI, user: User, device: Authenticator | None = None) -> Authenticator:
    """Add a passkey in a new browser of the user."""
    device = device or Authenticator()
    async with signed_in_client(app, user) as client:
        await confirm_sessions(app.state.database)
        data = {"name": "Phone", "passkey": device.create(await get_options(client, "add"))}
        added = await client.post(f"{PASSKEYS}/add", data=data)
        assert added.status_code in {200, 303}, added.text
    return device


async def confirm_sessions(database: Database) -> None:
    await set_all(database, Session, confirmed_at=utc_now())


async def sign_in(client: AsyncClient, device: Authenticator, **form: str) -> Response:
    return await client.post(SIGN_IN, data={"passkey": await sign(client, device), **form})


async def send_password(client: AsyncClient, **form: str) -> Response:
    return await client.post(LOGIN, data={"email": EMAIL, "password": PASSWORD, **form})


async def follow_redirect(client: AsyncClient, response: Response) -> str:
    assert response.status_code == 303, response.text
    return (await client.get(response.headers["location"])).text


async def read_passkeys(database: Database, user: User) -> list[Passkey]:
    return await read_all(database, Passkey, user_id=user.id)


async def read_event_kinds(database: Database, user: User) -> list[str]:
    return [event.kind for event in await read_all(database, AccountEvent, user_id=user.id)]
