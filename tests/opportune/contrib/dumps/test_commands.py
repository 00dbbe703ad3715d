"""`dumpdata`, `loaddata`, which reads what it writes, and `flush`."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.accounts import User
from opportune.accounts.models import Group, Session
from opportune.config.settings import Settings
from opportune.contrib.answers import Answer
from opportune.contrib.dumps.commands import flush
from opportune.db import Database, utc_now
from opportune.errors import CommandError
from opportune.testing import Make, call_command
from tests.opportune import stored_rows
from tests.opportune.cli.conftest import Oppman
from tests.opportune.contrib.copydb.two_databases import ADD_SESSION, ADD_USER, KINDS, Databases, emails, execute
from tests.opportune.stored_rows import count

USER = '{"model": "accounts.user", "pk": %s, "fields": {"email": "%s", "hashed_password": "x"}}'
NUL = "\\u0000"


def session_dump(**fields: object) -> str:
    values = {"token_hash": "t", "user_id": 1, "expires_at": "2026-11-20T10:00:00Z"} | fields
    return json.dumps([{"model": "accounts.session", "pk": 1, "fields": values}])


@pytest.mark.parametrize("kind", KINDS)
def test_dump_loads_into_the_other_database(oppman: Oppman, databases: Databases, tmp_path: Path, kind: str) -> None:
    source = databases.create_filled(kind, "ü@example.com", "b@example.com")
    execute(source, ADD_SESSION, id=7)
    file = tmp_path / "all.json"
    assert oppman("dumpdata", "--output", str(file), DATABASE_URL=source) == (0, "", "")
    assert file.stat().st_mode & 0o777 == 0o600
    (other,) = set(KINDS) - {kind}
    target = databases.create_filled(other, "old@example.com")
    assert oppman("loaddata", str(file), DATABASE_URL=target).out == "Loaded 3 rows.\n"
    assert emails(target) == ["ü@example.com", "b@example.com"], "loaddata replaces rows with the same key"
    assert oppman("dumpdata", DATABASE_URL=target).out == file.read_text(encoding="utf-8")
    execute(target, ADD_USER.replace("(id, ", "(").replace("(:id, ", "("), email="next@example.com")
    assert execute(target, "SELECT max(id) FROM accounts_user") == [(3,)]


def test_dump_has_the_format_of_django(oppman: Oppman, databases: Databases) -> None:
    source = databases.create_filled("sqlite", "a@example.com")
    execute(source, ADD_SESSION, id=7)
    code, out, _ = oppman("dumpdata", "accounts.user", "--indent", "2", DATABASE_URL=source)
    (user,) = json.loads(out)
    assert (code, user["model"], user["pk"]) == (0, "accounts.user", 1)
    assert user["fields"]["email"] == "a@example.com"
    assert user["fields"]["created_at"] == "2026-11-20T10:11:12.000034Z"
    assert len(out.splitlines()) > 5
    assert len(json.loads(oppman("dumpdata", "accounts", DATABASE_URL=source).out)) == 2


def test_natural_keys_find_rows_with_other_ids(oppman: Oppman, databases: Databases, tmp_path: Path) -> None:
    source, target = databases.create_migrated("sqlite"), databases.create_migrated("postgresql")
    for number, name in ((1, "Readers"), (2, "Librarians")):
        execute(source, "INSERT INTO accounts_group (id, name) VALUES (:id, :name)", id=number, name=name)
    execute(source, "INSERT INTO accounts_grant (id, group_id, identity, action) VALUES (7, 2, 'book', '*')")
    for name in ("Others", "Readers"):
        execute(target, "INSERT INTO accounts_group (name) VALUES (:name)", name=name)
    file = tmp_path / "natural.json"
    tables = ("accounts.group", "accounts.grant")
    assert oppman("dumpdata", *tables, "--natural", "--output", str(file), DATABASE_URL=source).code == 0
    objects = json.loads(file.read_text(encoding="utf-8"))
    assert {"model": "accounts.group", "fields": {"name": "Librarians"}} in objects
    (grant,) = [row for row in objects if row["model"] == "accounts.grant"]
    assert (grant["pk"], grant["fields"]["group_id"]) == (7, ["Librarians"])
    for _ in range(2):
        assert oppman("loaddata", str(file), DATABASE_URL=target).out == "Loaded 3 rows.\n"
        names = execute(target, "SELECT name FROM accounts_group ORDER BY name")
        assert names == [("Librarians",), ("Others",), ("Readers",)]
        owner = "SELECT name FROM accounts_group JOIN accounts_grant ON accounts_group.id = group_id"
        assert execute(target, owner) == [("Librarians",)], "id 2 is another group here"


def test_invalid_arguments_are_reported_in_one_line(oppman: Oppman, databases: Databases, tmp_path: Path) -> None:
    source = databases.create_migrated("sqlite")
    missing = "No feature or table 'accounts.usr' is installed. Did you mean accounts.user?\n"
    assert oppman("dumpdata", "accounts.usr", DATABASE_URL=source).line() == missing
    for path, reason in ((str(tmp_path / "no" / "x"), "No such file or directory"), (str(tmp_path), "Is a directory")):
        error = oppman("dumpdata", "--output", path, DATABASE_URL=source).err
        assert error.endswith(f" cannot be written: {reason}.\n")
    assert "cannot be read" in oppman("loaddata", str(tmp_path / "none.json"), DATABASE_URL=source).err
    empty = databases.missing_url("sqlite")
    for command in (["dumpdata"], ["loaddata", "x"]):
        assert oppman(*command, DATABASE_URL=empty).err.startswith("The database is not migrated.")


InvalidDumps = Sequence[tuple[str | bytes, str]]
SQLITE_ERRORS: InvalidDumps = (
    ("", "Standard input is not JSON: Expecting value: line 1 column 1 (char 0). Nothing was loaded."),
    (b"[\xff", "Standard input is not UTF-8 text."),
    (f"[{USER % (1, 'a@b.c')}] x", "Standard input is not JSON: Extra data: line 1"),
    ("[" * 100_000, "Standard input is nested too deeply."),
    ('[{"model": "accounts.usr", "pk": 1, "fields": {}}]', "object 1: no table 'accounts.usr' is installed, but"),
    (f"[{USER % ('null', 'a@b.c')}]", "object 1: id: Input should be a valid integer."),
    (f"[{USER % (1, 'a@b.c')}, {USER % (2, 'A@B.C')}]", "object 2: UNIQUE constraint failed"),
    (f"[{USER % (1, 'a@b.c')}, {USER % (1, 'b@b.c')}]", "object 2: its key is also that of Standard input, object 1."),
    (session_dump(colour="red"), "object 1: colour: Extra inputs are not permitted."),
    (session_dump(expires_at="2026-11-20T10:00:00"), "object 1: expires_at: Input should have timezone info."),
    (session_dump(user_id=9), "accounts_session, row 1 refers to a missing row of accounts_user."),
    (f"[{USER % (2**64, 'a@b.c')}]", "object 1: Python int too large to convert to SQLite INTEGER. Nothing was"),
    (session_dump(agent="\ud800"), "object 1: Invalid JSON: unexpected end of hex escape"),
)
POSTGRESQL_ERRORS: InvalidDumps = (
    (session_dump(user_id=9), 'accounts_session: Key (user_id)=(9) is not present in table "accounts_user".'),
    (f"[{USER % (1, 'a@b.c')}, {USER % (2, 'A@B.C')}]", "object 2: duplicate key value violates unique constraint"),
    (f"[{USER % (1, 'a@b.c')}, {USER % (2, NUL)}]", "object 2: PostgreSQL text fields cannot contain NUL"),
)


@pytest.mark.parametrize(("kind", "invalid_dumps"), [("sqlite", SQLITE_ERRORS), ("postgresql", POSTGRESQL_ERRORS)])
def test_invalid_dump_names_its_object_and_loads_nothing(
    oppman: Oppman, databases: Databases, monkeypatch: pytest.MonkeyPatch, kind: str, invalid_dumps: InvalidDumps
) -> None:
    """All invalid dumps are loaded into one database, which must stay empty."""
    target = databases.create_migrated(kind)
    for content, line in invalid_dumps:
        data = content if isinstance(content, bytes) else content.encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert line in oppman("loaddata", "-", DATABASE_URL=target).line()
        assert emails(target) == [], line


@pytest.mark.database("sqlite", "postgresql")
async def test_flush_deletes_rows_and_restarts_ids(settings: Settings, database: Database, make: Make) -> None:
    groups = await count(database, Group)
    await make.many(User, 3)
    await make(Session, expires_at=utc_now())
    await make(Answer)
    output = call_command("flush", yes=True, settings=settings)
    assert output.endswith("Create a new user: python3 oppman.py createsuperuser\n")
    assert (await count(database, User), await count(database, Group)) == (0, groups)
    assert call_command("migrate", settings=settings).endswith("  No migrations to apply.\n")
    assert ((await make(User)).id, (await make(Answer)).id) == (1, 1)


async def test_flush_asks(settings: Settings, database: Database, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(User)
    with pytest.raises(CommandError, match="Deleting all rows needs a confirmation") as refused:
        call_command("flush", settings=settings)
    assert refused.value.code == 2
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda _question: "y")
    with pytest.raises(CommandError, match=r"Stopped\.") as cancelled:
        call_command("flush", settings=settings)
    assert "including users and their sessions" in cancelled.value.output
    assert await count(database, User) == 1
    monkeypatch.setattr("typer.prompt", lambda _question: "yes")
    assert call_command("flush", settings=settings)
    assert await count(database, User) == 0


async def test_production_needs_force(settings: Settings, database: Database, make: Make) -> None:
    await make(User)
    production = settings.model_copy(update={"environment": "production"})
    with pytest.raises(CommandError, match="This is production, so nothing was deleted"):
        call_command("flush", yes=True, settings=production)
    assert await count(database, User) == 1
    assert call_command("flush", yes=True, force=True, settings=production)
    assert await count(database, User) == 0


async def test_failed_flush_is_rolled_back(
    settings: Settings, database: Database, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(User)
    monkeypatch.setattr(flush, "run_due_statements", None)
    with pytest.raises(TypeError, match="not callable"):
        call_command("flush", yes=True, settings=settings)
    assert await count(database, User) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_foreign_key_of_another_table_prevents_flush(settings: Settings, database: Database, make: Make) -> None:
    await make(User)
    await stored_rows.execute(database, text("CREATE TABLE stray (user_id BIGINT REFERENCES accounts_user (id))"))
    with pytest.raises(CommandError, match="the table stray of no installed feature refers to accounts_user"):
        call_command("flush", yes=True, settings=settings)
    assert await count(database, User) == 1
