"""The server of `oppman.py mcp`, called by the official client."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer

from opportune.config import PROJECT, Settings
from opportune.contrib.agents import tools
from opportune.contrib.agents.tools import run_command
from opportune.errors import OperatorError
from opportune.server import log_file
from tests.opportune.cli.conftest import Oppman

TIMEOUT_SECONDS = 60
SECRET_KEY = "a-secret-key-of-the-site-that-no-tool-shows"
ENTRIES = """2026-11-24 10:00:00,001 INFO    GET / 200 3.0 ms  [opportune.request 1]
2026-11-24 10:00:01,002 ERROR   GET /books 500  [opportune.errors 2]
  Traceback (most recent call last):
    File "app/books/pages.py", line 7, in index
  ZeroDivisionError: division by zero
2026-11-24 10:00:02,003 INFO    GET /about 200 2.0 ms  [opportune.request 3]
"""


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> MCPServer:
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    return tools.create_server()


def connect(server: StdioServerParameters | MCPServer) -> Client:
    return Client(server, read_timeout_seconds=TIMEOUT_SECONDS)


async def text_of(client: Client, name: str, *, is_error: bool = False, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments)
    text = "".join(getattr(content, "text", "") for content in result.content)
    assert bool(result.is_error) is is_error, text
    return text


async def test_tools_are_described_and_marked() -> None:
    async with connect(tools.create_server()) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == {tool.__name__ for tool in tools.READING_TOOLS} | {"run_tests"}
        assert all(tool.description for tool in listed.values())
        read_only = {name for name, tool in listed.items() if tool.annotations and tool.annotations.read_only_hint}
        assert set(listed) - read_only == {"run_tests"}


async def test_schema_and_settings_are_read(server: MCPServer) -> None:
    async with connect(server) as client:
        assert 'accounts_group: ["id", "name"]' in await text_of(client, "show_schema")
        table = await text_of(client, "show_schema", table="accounts_session")
        assert '"user_id": "accounts_user.id"' in table
        settings = await text_of(client, "list_settings")
        assert "SECRET_KEY" in settings
        assert SECRET_KEY not in settings


async def test_tools_run_commands_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    async def record(*arguments: str, **_timeout: float) -> str:
        commands.append(arguments)
        return ""

    monkeypatch.setattr(tools, "run_command", record)
    for tool in (tools.check, tools.doctor, tools.list_settings, tools.preview_migrations):
        await tool()
    await tools.list_routes("users")
    await tools.run_tests("tests/opportune")
    assert commands == [
        ("check",),
        ("doctor",),
        ("env", "--all"),
        ("makemigrations", "--dry-run", "--no-input"),
        ("routes", "--", "users"),
        ("test", "tests/opportune"),
    ]


async def test_client_of_the_command_reads_the_documentation() -> None:
    arguments = [str(PROJECT / "oppman.py"), "mcp"]
    environment = os.environ | {"SECRET_KEY": SECRET_KEY}
    command = StdioServerParameters(command=sys.executable, args=arguments, cwd=PROJECT, env=environment)
    async with connect(command) as client:
        assert "cookbook: " in await text_of(client, "search_documentation", words="many-to-many")
        assert (await text_of(client, "read_page", page="crud")).startswith("# CRUD")


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("read_page", {"page": "crudd"}, "The documentation has no page crudd. Did you mean crud?"),
        ("run_tests", {"path": "--help"}, "Name a file or folder of tests, not an option."),
        ("show_schema", {"table": "accounts_sessio"}, "There is no table accounts_sessio. Did you mean"),
        ("query_database", {"sql": "DELETE FROM accounts_user"}, "Only statements that begin with SELECT"),
    ],
)
async def test_mistake_is_explained(server: MCPServer, tool: str, arguments: dict[str, str], message: str) -> None:
    async with connect(server) as client:
        assert message in await text_of(client, tool, is_error=True, **arguments)


@pytest.mark.parametrize("path", ["../x.py", "/etc/hosts", "tests/\0", "opportune"])
async def test_tests_outside_of_their_folder_do_not_run(path: str) -> None:
    with pytest.raises(OperatorError, match=r"^[^\n]*Name a file or folder of tests, such as tests/users\.$"):
        await tools.run_tests(path)


async def test_last_log_entries_and_errors_are_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "PATH", log := tmp_path / "development.log")
    with pytest.raises(OperatorError, match="Start the site"):
        await tools.show_log()
    await asyncio.to_thread(log.write_text, ENTRIES, encoding="utf-8")
    assert await tools.show_log(count=1) == ENTRIES.splitlines()[-1]
    assert await tools.show_errors() == "\n".join(ENTRIES.splitlines()[1:5]), "with its traceback"


async def test_slow_command_is_ended() -> None:
    with pytest.raises(OperatorError, match="check took more than"):
        await run_command("check", timeout_seconds=0.01)


def test_production_is_refused(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    assert oppman("mcp").line() == "oppman.py mcp is for development, but ENVIRONMENT is production.\n"
