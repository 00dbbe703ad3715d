"""The requests, code and commands of docs/accounts.md work, and its pages exist."""

import asyncio
import shlex
from dataclasses import replace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import MetaData
from sqlmodel import Field, SQLModel

from opportune.accounts.models import Group, User
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.cli import transaction
from opportune.cli.main import main
from opportune.config import Settings, installed_features
from opportune.db.database import Database
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.stored_rows import add_rows, read_one

GUIDE = read_guide("accounts.md")
LINES = [line for block in code_blocks(GUIDE, "sh") for line in block.splitlines()]
SITE = "http://127.0.0.1:8000"


async def send_curl_request(client: AsyncClient, line: str) -> Response:
    command = iter(shlex.split(line)[1:])
    headers, fields, arguments = dict[str, str](), dict[str, str](), dict[str, Any]()
    method = url = ""
    for argument in command:
        match argument:
            case "-X":
                method = next(command)
            case "-H":
                name, _, value = next(command).partition(": ")
                headers[name] = value
            case "-d" | "--data-urlencode":
                name, _, value = next(command).partition("=")
                fields[name] = value
            case "--json":
                headers["Content-Type"], arguments["content"] = "application/json", next(command)
            case _:
                url = argument.removeprefix(SITE)
    if fields:
        arguments["data"] = fields
    return await client.request(method or ("POST" if arguments else "GET"), url, headers=headers, **arguments)


async def test_guide_requests_work(client: AsyncClient) -> None:
    lines, token = [line for line in LINES if line.startswith("curl ")], ""
    assert len(lines) == 7
    for line in lines:
        response = await send_curl_request(client, line.replace("$TOKEN", token))
        assert response.is_success, (line, response.text)
        if "/auth/login" in line:
            token = response.json()["access_token"]


class Menu(SQLModel, table=True):
    # Separate metadata, because the table is never created.
    metadata = MetaData()
    __tablename__ = "menu_menu"

    id: int = Field(default=None, primary_key=True)


def run_example(containing: str) -> dict[str, Any]:
    (code,) = (block for block in code_blocks(GUIDE) if containing in block)
    return run_code(code)


def add_router(app: FastAPI, containing: str) -> dict[str, Any]:
    names = run_example(containing)
    router = names["router"]
    assert isinstance(router, APIRouter)
    app.include_router(router)
    return names


async def test_guide_code_requires_its_permission(app: FastAPI, database: Database, user: User) -> None:
    add_router(app, "may(")
    features = [*installed_features(), replace(run_example("Feature(")["menu"], models=[Menu])]
    app.state.declared_permissions = DeclaredPermissions(features)
    assert list(app.state.declared_permissions.faults()) == []
    async with signed_in_client(app, user) as client:
        assert (await client.get("/menu/costs")).status_code == 403
        await add_permission(database, user, "menu", "export")
        assert (await client.get("/menu/costs")).json() == {"for": user.email}


async def test_guide_limits_requests(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    names = add_router(app, "RateLimit(")
    monkeypatch.setattr(names["LOOKUPS"], "limit", 1)
    monkeypatch.setattr(names["ORDERS"], "limit", 1)
    assert [(await client.get("/orders")).status_code for _ in range(2)] == [200, 429]
    for _ in range(2):
        async with signed_in_client(app, await make_user(app.state.database)) as visitor:
            assert [(await visitor.post("/orders")).status_code for _ in range(2)] == [201, 429]


async def test_guide_commands_work(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    await make_user(database, "ada@example.com", totp_secret="sealed")
    await add_rows(database, Group(name="Editors"))
    lines = [line for line in LINES if line.startswith("python3 oppman.py ")]
    assert len(lines) == 5
    for line in lines:
        assert await asyncio.to_thread(main, shlex.split(line)[2:]) == 0, line
    user = await read_one(database, User)
    assert (user.is_staff, user.is_active, user.has_two_factor) == (True, False, False)
