"""Tools of the development server for coding agents. Their docstrings are the descriptions that an agent reads."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial, wraps
from typing import Annotated, Any, ParamSpec

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field
from sqlalchemy import Connection, Inspector, inspect

from opportune import __version__
from opportune.config.settings import Settings, load_settings
from opportune.contrib.agents.log_entries import is_error, read_entries
from opportune.contrib.agents.query import MAX_ROWS, run_query
from opportune.contrib.agents.reading import read
from opportune.contrib.documentation.commands import find_sections
from opportune.contrib.documentation.content import page_names, sections_of
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.current import OPPMAN
from opportune.project.layout import PROJECT
from opportune.search.query import MAX_QUERY_LENGTH
from opportune.server.log_file import PATH

INSTRUCTIONS = (
    "Tools for one project on the Opportune framework. AGENTS.md has its rules, and .agents/skills guides for common "
    "tasks. Search the documentation before you write code, and run `check` and the tests afterwards."
)
NO_TABLES = f"The database has no tables. Run: {OPPMAN} migrate"
COMMAND_TIMEOUT_SECONDS = 60
TEST_TIMEOUT_SECONDS = 600
MAX_OUTPUT_CHARS = 20_000
MAX_LOG_ENTRIES = 200

P = ParamSpec("P")
Tool = Callable[P, Awaitable[str]]
Count = Annotated[int, Field(ge=1, le=MAX_LOG_ENTRIES)]


def development_settings() -> Settings:
    """Read the current settings.

    Raises:
        OperatorError: The site is in production.
    """
    settings = load_settings()
    if settings.is_production:
        raise OperatorError("oppman.py mcp is for development, but ENVIRONMENT is production.")
    return settings


def create_server() -> MCPServer:
    server: MCPServer = MCPServer("opportune", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    for tool in READING_TOOLS:
        annotations = ToolAnnotations(read_only_hint=True)
        server.tool(annotations=annotations, structured_output=False)(with_one_line_errors(tool))
    server.tool(structured_output=False)(with_one_line_errors(run_tests))
    return server


def with_one_line_errors(tool: Tool[P]) -> Tool[P]:
    """Report an `OperatorError` as an error of the tool, with its advice. Other errors pass through."""

    @wraps(tool)
    async def run(*arguments: P.args, **options: P.kwargs) -> str:
        try:
            return await tool(*arguments, **options)
        except OperatorError as error:
            raise ToolError(error.with_advice) from None

    return run


async def show_schema(table: str = "") -> str:
    """List the tables of the database with their columns, or show types, keys and indexes of one table."""
    schema = await read_schema(development_settings(), table)
    return cut_start("\n".join(f"{name}: {json.dumps(value)}" for name, value in schema.items())) or NO_TABLES


async def query_database(sql: str, max_rows: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 50) -> str:
    """Run one SELECT statement in a read-only transaction of at most 15 seconds. Secret columns are hidden."""
    return json.dumps(await run_query(development_settings(), sql, max_rows), ensure_ascii=False)


async def list_routes(filter_text: str = "") -> str:
    """List the routes of the site: path, methods, name and feature. A filter selects lines that contain it."""
    return await run_command("routes", "--", filter_text)


async def list_settings() -> str:
    """List all settings with their values and sources, without secrets."""
    return await run_command("env", "--all")


async def search_documentation(words: str) -> str:
    """Search the documentation of the framework and list matching sections. Read their page with `read_page`."""
    hits = await find_sections(words[:MAX_QUERY_LENGTH])
    if not hits:
        raise OperatorError(f"Nothing in the documentation matches {words!r}. Try fewer or other words.")
    return "\n".join(f"{hit.page}: {hit.name}" for hit in hits)


async def read_page(page: str) -> str:
    """Return a page of the documentation as Markdown, such as `crud` or `deploy/render`."""
    if page not in page_names():
        raise OperatorError(f"The documentation has no page {page}.{did_you_mean(page, page_names())}")
    return "\n".join(section.markdown for section in sections_of(page))


async def show_errors(count: Count = 3) -> str:
    """Return the last errors of the development server with their tracebacks."""
    errors = [entry for entry in read_log_file() if is_error(entry)]
    return cut_start("\n".join(errors[-count:])) or "The log has no errors."


async def show_log(count: Count = 50) -> str:
    """Return the last entries of the development server's log."""
    return cut_start("\n".join(read_log_file()[-count:]))


def read_log_file() -> Sequence[str]:
    entries = read_entries()
    if not entries:
        raise OperatorError(f"There is no log at {PATH}. Start the site: {OPPMAN} runserver")
    return entries


async def check() -> str:
    """Check the settings, the code, the templates and the database, and list errors and warnings."""
    return await run_command("check")


async def doctor() -> str:
    """Diagnose problems of the database: connection, versions, migrations, disk."""
    return await run_command("doctor")


async def preview_migrations() -> str:
    """Show the migrations that `makemigrations` would write for changed models, without writing them."""
    return await run_command("makemigrations", "--dry-run", "--no-input")


async def run_tests(path: str = "tests") -> str:
    """Run the tests of a file or folder, or one test such as `tests/books/test_api.py::test_list`."""
    if path.startswith("-"):
        raise OperatorError("Name a file or folder of tests, not an option.")
    advice = "Name a file or folder of tests, such as tests/users."
    try:
        file = (PROJECT / path.partition("::")[0]).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise OperatorError(f"There is no {path}. {advice}") from None
    if not file.is_relative_to((PROJECT / "tests").resolve()):
        raise OperatorError(f"{path!r} is not in the folder tests. {advice}")
    return await run_command("test", path, timeout_seconds=TEST_TIMEOUT_SECONDS)


READING_TOOLS: tuple[Tool[...], ...] = (
    show_schema,
    query_database,
    list_routes,
    list_settings,
    search_documentation,
    read_page,
    show_errors,
    show_log,
    check,
    doctor,
    preview_migrations,
)
"""Tools that change nothing."""


async def read_schema(settings: Settings, table: str) -> dict[str, Any]:
    """Return the names of all tables with their columns, or the details of one table.

    Raises:
        OperatorError: The table does not exist, or the database cannot be read.
    """
    with ignore_reflection_warnings():
        return await read(settings, partial(describe_table, table=table) if table else describe_tables)


def describe_tables(connection: Connection) -> dict[str, Any]:
    """Return the columns of each table, without those of search indexes."""
    inspector = inspect(connection)
    columns = inspector.get_multi_columns()
    return {name: [column["name"] for column in columns[None, name]] for name in table_names(inspector)}


def table_names(inspector: Inspector) -> list[str]:
    return [name for name in inspector.get_table_names() if not is_derived(name)]


def describe_table(connection: Connection, table: str) -> dict[str, Any]:
    inspector = inspect(connection)
    names = table_names(inspector)
    if table not in names:
        raise OperatorError(f"There is no table {table}.{did_you_mean(table, names)}")
    return {
        "columns": {column["name"]: column_text(column) for column in inspector.get_columns(table)},
        "primary_key": inspector.get_pk_constraint(table)["constrained_columns"],
        "foreign_keys": foreign_keys(inspector, table),
        "unique": [constraint["column_names"] for constraint in inspector.get_unique_constraints(table)],
        "indexes": {str(index["name"]): index["column_names"] for index in inspector.get_indexes(table)},
    }


def column_text(column: Any) -> str:
    return str(column["type"]) if column["nullable"] else f"{column['type']} NOT NULL"


def foreign_keys(inspector: Inspector, table: str) -> dict[str, str]:
    """Return the referenced column, such as `author.id`, by column."""
    return {
        column: f"{key['referred_table']}.{referred}"
        for key in inspector.get_foreign_keys(table)
        for column, referred in zip(key["constrained_columns"], key["referred_columns"], strict=True)
    }


async def run_command(*arguments: str, timeout_seconds: float = COMMAND_TIMEOUT_SECONDS) -> str:
    """Run a command in a new process, with the current code. Return its output, with its exit code if it fails.

    Raises:
        OperatorError: The command took too long, and was ended with all processes that it started.
    """
    if any("\0" in argument for argument in arguments):
        raise OperatorError("The text has a NUL character, which no command accepts. Leave it out.")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROJECT / "oppman.py"),
        *arguments,
        cwd=PROJECT,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        raise OperatorError(f"oppman.py {arguments[0]} took more than {timeout_seconds:g} seconds.") from None
    finally:
        if process.returncode is None:
            end_processes(process)
            await process.wait()
    text = cut_start(output.decode(errors="replace"))
    return f"{text}\nExit code {process.returncode}" if process.returncode else text


def end_processes(process: asyncio.subprocess.Process) -> None:
    """End a process and those that it started."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def cut_start(text: str) -> str:
    """Return the end of a long text, because results and errors are printed last."""
    return text if len(text) <= MAX_OUTPUT_CHARS else f"…{text[-MAX_OUTPUT_CHARS:]}"
