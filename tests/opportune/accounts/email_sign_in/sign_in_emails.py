"""Helpers that request sign-in e-mails and read them."""

import re

from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from tests.opportune.accounts.conftest import new_client
from tests.opportune.accounts.sent_emails import EMAIL, read_newest_link, read_sent_emails

SIGN_IN_PAGE = "/accounts/login/email"
SIGN_IN_API = "/api/v1/auth/login/email"


def new_browser(app: FastAPI, address: str = "203.0.113.9") -> AsyncClient:
    """Return a browser with another user agent and IP address."""
    return new_client(app, address, **{"User-Agent": "Other/1.0"})


async def request_email(client: AsyncClient, email: str = EMAIL, **fields: str) -> Response:
    return await client.post(SIGN_IN_PAGE, data={"email": email, **fields})


async def read_newest_code(app: FastAPI) -> str:
    match = re.match(r"(\d{6}) is your code", str((await read_sent_emails(app))[-1]["Subject"]))
    assert match
    return match[1]


async def read_newest_token(app: FastAPI) -> str:
    path, token = await read_newest_link(app)
    assert path == f"{SIGN_IN_PAGE}/link"
    return token


async def send_code(client: AsyncClient, code: str) -> Response:
    return await client.post(f"{SIGN_IN_PAGE}/code", data={"code": code})


async def submit_link(client: AsyncClient, token: str, **fields: str) -> Response:
    """Submit the form of the page that the link opens."""
    return await client.post(f"{SIGN_IN_PAGE}/link", data={"token": token, **fields})


async def request_and_read(app: FastAPI, client: AsyncClient, email: str = EMAIL) -> tuple[str, str]:
    """Request an e-mail. Return the token of its link and its code."""
    await request_email(client, email)
    return await read_newest_token(app), await read_newest_code(app)


def wrong_code(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"
