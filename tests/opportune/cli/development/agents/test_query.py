"""Read-only SQL of the development server for coding agents, on both databases."""

import pytest
from sqlalchemy import func, select

from opportune.accounts.models import User
from opportune.cli.development.agents import query
from opportune.cli.development.agents.query import MASK, run_query
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing import make_user

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
DELETING = "WITH gone AS (DELETE FROM accounts_user RETURNING id) SELECT * FROM gone"


@pytest.fixture(autouse=True)
async def _user(database: Database) -> None:
    await make_user(database, "ada@example.com")


async def count_users(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(User)) or 0


async def test_rows_are_returned_with_columns(settings: Settings) -> None:
    result = await run_query(settings, "SELECT email, is_staff FROM accounts_user;", 10)
    assert result["columns"] == ["email", "is_staff"]
    assert [[email, bool(is_staff)] for email, is_staff in result["rows"]] == [["ada@example.com", False]]


async def test_secret_columns_are_masked(settings: Settings) -> None:
    result = await run_query(settings, "SELECT * FROM accounts_user", 10)
    row = dict(zip(result["columns"], result["rows"][0], strict=True))
    assert (row["hashed_password"], row["totp_secret"], row["email"]) == (MASK, MASK, "ada@example.com")


async def test_secret_columns_cannot_be_named(settings: Settings) -> None:
    with pytest.raises(OperatorError, match="hashed_password is the name of a secret"):
        await run_query(settings, "SELECT hashed_password AS x FROM accounts_user", 10)


async def test_number_of_rows_is_limited(settings: Settings) -> None:
    result = await run_query(
        settings, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", 3
    )
    assert (result["rows"], result["has_more_rows"]) == ([[1], [2], [3]], True)


async def test_colons_and_percent_signs_are_plain_text(settings: Settings) -> None:
    result = await run_query(settings, "SELECT ':x' AS colon, '12:30' AS clock, '5%' AS percent, 5 % 3 AS rest", 1)
    assert result["rows"] == [[":x", "12:30", "5%", 2]]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO accounts_user (email) VALUES ('eve@example.com')",
        "DELETE FROM accounts_user",
        "DROP TABLE accounts_user",
        "PRAGMA query_only = 0",
        "SET TRANSACTION READ WRITE",
        "COPY accounts_user TO PROGRAM 'cat'",
        "",
    ],
)
async def test_other_statements_are_refused(settings: Settings, sql: str) -> None:
    with pytest.raises(OperatorError, match="Only statements that begin with SELECT, WITH or VALUES"):
        await run_query(settings, sql, 10)


@pytest.mark.parametrize(
    "sql",
    [
        DELETING,
        "SELECT 1; DELETE FROM accounts_user",
        "SELECT 1) AS one; COMMIT; DELETE FROM accounts_user; SELECT * FROM (SELECT 1",
        "SELECT 1) AS one LIMIT 1; DELETE FROM accounts_user --",
        "SELECT * FROM nowhere",
    ],
)
async def test_database_refuses_writes_in_one_line(settings: Settings, database: Database, sql: str) -> None:
    with pytest.raises(OperatorError, match=r"^The database refuses the statement: [^\n]+$"):
        await run_query(settings, sql, 10)
    assert await count_users(database) == 1


async def test_long_statement_is_cancelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(OperatorError, match="took more than"):
        await run_query(settings, NUMBERS.format("count(*)"), 10)
