"""Read-only SQL of the development server for coding agents, on both databases."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.contrib.agents import reading
from opportune.contrib.agents.masks import MASK
from opportune.contrib.agents.query import run_query
from opportune.contrib.agents.query_postgresql import require_masked
from opportune.contrib.agents.results import MAX_RESULT_CHARS
from opportune.contrib.agents.tools import read_schema
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.jobs.models import Job
from opportune.testing import make_user
from tests.opportune.stored_rows import add_rows, count, execute, read_one

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
WITH_SECRETS = [
    "SELECT hashed_password AS a FROM accounts_user",
    "SELECT 'x' || hashed_password FROM accounts_user",
    "SELECT max(hashed_password) FROM accounts_user",
    "SELECT u.hashed_password FROM (SELECT * FROM accounts_user) AS u",
    "WITH u(a, b, c, d, e, f, g, h, i, j, k, l, m) AS (SELECT * FROM accounts_user) SELECT * FROM u",
    "SELECT 'a' AS a UNION ALL SELECT hashed_password FROM accounts_user",
]
PATHS_AROUND_THE_MASK = [
    "SELECT * FROM {schema}.accounts_user",
    'SELECT * FROM {schema} . "accounts_user"',
    "SELECT * FROM {schema}.--\naccounts_user",
    "SELECT * FROM {schema}./**/accounts_user",
    "SELECT * FROM {schema}.--\raccounts_user",
    'SELECT * FROM U&"public".accounts_user',
    "SELECT table_to_xml('accounts_user', true, true, '')",
    "SELECT * FROM pg_stats",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM sqlite_stat4",
    "WITH accounts_user AS (SELECT * FROM {schema}.accounts_user) SELECT * FROM accounts_user",
]


@pytest.fixture(autouse=True)
async def _user(database: Database) -> None:
    await make_user(database, "ada@example.com")


@pytest.mark.database("sqlite", "postgresql")
async def test_secret_columns_are_masked(settings: Settings, database: Database) -> None:
    result = await run_query(settings, "SELECT * FROM accounts_user;", 10)
    row = dict(zip(result["columns"], result["rows"][0], strict=True))
    assert (row["hashed_password"], row["totp_secret"], row["email"]) == (MASK, MASK, "ada@example.com")
    assert "token_hash" in (await run_query(settings, "SELECT * FROM accounts_token", 10))["columns"]
    await add_rows(database, Job(name="mail.send", arguments=["https://site/accounts/login?token=secret"]))
    assert (await run_query(settings, "SELECT name, arguments FROM jobs_job", 10))["rows"] == [["mail.send", MASK]]


@pytest.mark.database("sqlite", "postgresql")
async def test_expressions_cannot_reveal_secrets(settings: Settings, database: Database) -> None:
    password = await read_one(database, select(col(User.hashed_password)))
    for sql in WITH_SECRETS:
        text = str((await run_query(settings, sql, 10))["rows"])
        assert MASK in text, sql
        assert password not in text, sql


@pytest.mark.database("postgresql")
async def test_whole_rows_are_masked(settings: Settings) -> None:
    text = str((await run_query(settings, "SELECT row_to_json(u), u::text, u FROM accounts_user AS u", 10))["rows"])
    assert "ada@example.com" in text
    assert MASK in text
    assert "argon2" not in text


@pytest.mark.database("sqlite", "postgresql")
async def test_paths_around_the_mask_are_refused(settings: Settings, database_kind: str) -> None:
    schema = "main" if database_kind == "sqlite" else "public"
    reasons = "A statement cannot|Name the table accounts_user|The database refuses|The statement reads"
    for sql in PATHS_AROUND_THE_MASK:
        with pytest.raises(OperatorError, match=rf"^({reasons})[^\n]+$"):
            pytest.fail(f"{sql} gives {await run_query(settings, sql.format(schema=schema), 10)}")


@pytest.mark.database("sqlite", "postgresql")
async def test_special_characters_in_table_names(settings: Settings, database: Database, database_kind: str) -> None:
    await execute(database, text('CREATE TABLE "keys (old" (id integer, password varchar)'))
    assert (await run_query(settings, 'SELECT password FROM "keys (old"', 10))["rows"] == []
    schema = "main" if database_kind == "sqlite" else "public"
    with pytest.raises(OperatorError, match=r"^Name the table keys \(old without its schema|is prohibited$"):
        await run_query(settings, f'SELECT password FROM {schema}."keys (old"', 10)  # noqa: S608 - constants


@pytest.mark.database("sqlite", "postgresql")
async def test_size_of_the_result_is_limited(settings: Settings, database_kind: str) -> None:
    value = "hex(zeroblob(10000))" if database_kind == "sqlite" else "repeat('a', 20000)"
    sql = f"{NUMBERS} LIMIT 150".format(f"i, {value}")
    result = await run_query(settings, sql, 150)
    assert len(str(result)) < MAX_RESULT_CHARS * 1.1
    assert result["has_more_rows"]


@pytest.mark.database("postgresql")
async def test_postgresql_decides_about_columns(settings: Settings) -> None:
    await require_masked(settings, "SELECT * FROM accounts_user AS u")
    for sql in ("SELECT count(hashed_password) FROM public.accounts_user", "SELECT u FROM public.accounts_user AS u"):
        with pytest.raises(OperatorError, match=r"^The statement reads the secret accounts_user\.\w+\."):
            await require_masked(settings, sql)


async def test_sqlite_decides_about_columns_and_sizes(settings: Settings) -> None:
    for sql, message in (
        ("SELECT (SELECT hashed_password FROM main.accounts_user) FROM accounts_user", "hashed_password is prohibited"),
        ('SELECT * FROM "main"."accounts_user"', "is prohibited"),
        ("SELECT hex(zeroblob(300000000))", "string or blob too big"),
        ("SELECT 1\0", r"cannot contain '\\x00'"),
    ):
        with pytest.raises(OperatorError, match=message):
            await run_query(settings, sql, 10)


async def test_missing_database_is_not_created(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    settings = settings.model_copy(update={"database_url": SecretStr(f"sqlite:///{path}")})
    for work in (run_query(settings, "SELECT 1", 1), read_schema(settings, "")):
        with pytest.raises(OperatorError, match=r"^There is no database at [^\n]+$"):
            await work
    assert not path.exists()


@pytest.mark.database("sqlite", "postgresql")
async def test_schema_has_columns_keys_and_indexes(settings: Settings) -> None:
    assert (await read_schema(settings, ""))["accounts_group"] == ["id", "name"]
    table = await read_schema(settings, "accounts_session")
    assert table["foreign_keys"]["user_id"] == "accounts_user.id"
    assert table["columns"]["token_hash"].startswith("VARCHAR")
    assert table["indexes"]


@pytest.mark.database("sqlite", "postgresql")
async def test_number_of_rows_is_limited(settings: Settings) -> None:
    result = await run_query(settings, NUMBERS.format("i"), 3)
    assert (result["rows"], result["has_more_rows"]) == ([[1], [2], [3]], True)


@pytest.mark.database("sqlite", "postgresql")
async def test_colons_percent_signs_and_long_texts_are_plain(settings: Settings) -> None:
    result = await run_query(settings, f"SELECT ':x' a, '12:30' b, '5%' c, 5 % 3 d, '{'a' * 10**6}' = '' e", 1)
    assert result["rows"] == [[":x", "12:30", "5%", 2, False]]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO accounts_user (email) VALUES ('eve@example.com')",
        "PRAGMA query_only = 0",
        "SET TRANSACTION READ WRITE",
        "COPY accounts_user TO PROGRAM 'cat'",
        "",
    ],
)
async def test_other_statements_are_refused(settings: Settings, sql: str) -> None:
    with pytest.raises(OperatorError, match="Only statements that begin with SELECT, WITH or VALUES"):
        await run_query(settings, sql, 10)


@pytest.mark.database("sqlite", "postgresql")
async def test_database_refuses_writes_in_one_line(settings: Settings, database: Database) -> None:
    for sql in (
        "WITH gone AS (DELETE FROM accounts_user RETURNING id) SELECT * FROM gone",
        "SELECT 1; DELETE FROM accounts_user",
        "SELECT 1) AS one; COMMIT; DELETE FROM accounts_user; SELECT * FROM (SELECT 1",
        "SELECT 1) AS one LIMIT 1; DELETE FROM accounts_user",
        "SELECT * FROM nowhere",
    ):
        with pytest.raises(OperatorError, match=r"^The database refuses the statement: [^\n]+$"):
            pytest.fail(f"{sql} gives {await run_query(settings, sql, 10)}")
        assert await count(database, User) == 1, sql


@pytest.mark.database("sqlite", "postgresql")
async def test_long_statement_is_cancelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "TIMEOUT_SECONDS", 1)
    with pytest.raises(OperatorError, match=r"took more than|statement timeout"):
        await run_query(settings, NUMBERS.format("count(*)"), 10)
