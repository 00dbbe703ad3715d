"""`backup`: content of archives, listing, pruning and failures."""

import io
import json
import os
import re
import shlex
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Table

from opportune.contrib.backup import database_copy, pg_dump, uploads
from opportune.contrib.backup.archive import ArchiveWriter, open_archive
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.models.model import Model
from opportune.project.atomic_files import temporary_path
from opportune.project.installed import adopted_tables, installed_names
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.development.processes import Work, kill_at_each_step
from tests.opportune.contrib.backup.backups import Site, enlarge, error_line, only_postgresql
from tests.opportune.full_disk import files_no_larger_than
from tests.opportune.guides import read_guide


def backups_of(site: Site) -> list[Path]:
    return sorted((site.folder / "backups").iterdir())


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("programs")
def test_backup_is_a_private_file_with_a_manifest(oppman: Oppman, site: Site, database_kind: str) -> None:
    result = oppman("backup")
    (path,) = backups_of(site)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Backed up to {path} (")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with open_archive(path) as archive:
        archive.check()
        manifest = archive.manifest
        assert archive.manifest.uploads == ["uploads/a/picture.png"]
    assert manifest.kind == database_kind
    assert MigrationGraph(installed_names()).pending(manifest.revisions) == []
    assert "accounts_user" in manifest.tables
    assert "p@ss" not in zipfile.ZipFile(path).read("manifest.json").decode()


def test_backups_are_listed_newest_first(oppman: Oppman, site: Site, tmp_path: Path) -> None:
    assert oppman("backup", "--list") == (0, "There are no backups.\n", "")
    for _ in range(2):
        assert oppman("backup").code == 0
    (site.folder / "backups/other.zip").write_text("no backup")
    _, *rows = oppman("backup", "--list").out.splitlines()
    # The names contain seconds, so two backups of one second are told apart by their modification time.
    newest_first = sorted(backups_of(site)[:2], key=lambda path: path.stat().st_mtime_ns, reverse=True)
    assert [row.split()[0] for row in rows] == [str(path) for path in newest_first]
    backups = json.loads(oppman("backup", "--list", "--json").out)
    assert (len(backups), backups[0]["uploads"], backups[0]["database"]) == (2, 1, f"sqlite+aiosqlite:///{site.path}")
    oppman("backup", str(tmp_path / "nowhere"), "--list").line()


def test_uploads_in_a_bucket_stay_there(oppman: Oppman, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_URL", "s3://AK:s3cr3t@s3.example/files")
    result = oppman("backup")
    (path,) = backups_of(site)
    assert result.err.startswith("Notice: This backup does not contain the uploads in s3://s3.example/files: back up ")
    with open_archive(path) as archive:
        assert (archive.manifest.uploads, archive.manifest.elsewhere) == ([], "s3://s3.example/files")
    assert "The uploads are in s3://s3.example/files. Set STORAGE_URL" in oppman("restore", "--no-input", str(path)).out


def test_uploads_in_the_database_are_in_its_backup(oppman: Oppman, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid_upload = site.upload.with_name(f"{'0' * 32}.png")
    site.upload.rename(uuid_upload)
    folder_backup = str(site.folder / "of-folder.zip")
    assert oppman("backup", folder_backup).code == 0
    monkeypatch.setenv("STORAGE_URL", "database:")
    site.execute("INSERT INTO jobs_file VALUES (1, 'a/b.bin', 3, '2026-01-01')")
    site.execute("INSERT INTO jobs_file_piece VALUES (1, 0, x'00ff80')")
    path = str(site.folder / "b.zip")
    assert oppman("backup", path).err == ""
    assert oppman("flush", "--yes").code == 0
    assert "The uploads" not in oppman("restore", "--no-input", path).out
    assert site.execute("SELECT content FROM jobs_file_piece") == [(b"\x00\xff\x80",)]
    assert "The uploads" not in oppman("restore", "--no-input", folder_backup).out
    assert site.execute("SELECT name, size_bytes FROM jobs_file") == [(f"a/{uuid_upload.name}", 7)]


def test_backup_of_a_live_database_is_consistent(oppman: Oppman, site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(site.path, isolation_level=None)) as writer:
        writer.execute("UPDATE accounts_user SET email = 'in@the.log'")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM accounts_user")
        assert oppman("backup", str(tmp_path / "b.zip")).code == 0
        writer.execute("ROLLBACK")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extract("database.sqlite3", tmp_path)
    with closing(sqlite3.connect(tmp_path / "database.sqlite3")) as copy:
        assert copy.execute("SELECT email FROM accounts_user").fetchall() == [("in@the.log",)]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_keep_removes_the_oldest_backups(oppman: Oppman, site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "notes.zip").write_text("not a zip")
    with zipfile.ZipFile(folder / "holiday.zip", "w") as other_archive:
        other_archive.writestr("manifest.json", json.dumps({"format": "another"}))
    temporary_path(folder / "old.zip").write_text("left by a killed run")
    names = [f"{name}.zip" for name in ("c", "a", "d")]
    for name in names:
        result = oppman("backup", str(folder / name), "--keep", "2")
    assert result.out.endswith(f"Removed {folder / 'c.zip'}.\n")
    assert {path.name for path in folder.iterdir()} == {"a.zip", "d.zip", "holiday.zip", "notes.zip"}
    assert oppman("backup", "--keep", "0").code == 2
    for list_option in ("--list", "--json"):
        assert "Omit --keep" in oppman("backup", list_option, "--keep", "2").err


def test_other_files_are_not_overwritten(oppman: Oppman, site: Site, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(site.path)
    before = site.path.read_bytes()
    for name in ("pipe", "link"):
        assert "is not a regular file" in error_line(oppman, "backup", str(tmp_path / name))
    assert "exists and is not a backup" in error_line(oppman, "backup", str(site.path))
    assert "does not exist: create it" in error_line(oppman, "backup", str(tmp_path / "nowhere" / "b.zip"))
    assert "does not exist: create it" in error_line(oppman, "backup", str(tmp_path / "not-mounted"), "--keep", "14")
    assert site.path.read_bytes() == before
    assert oppman("backup", str(tmp_path / "b.zip")).err == ""
    notices = oppman("backup", str(tmp_path / "b.zip"), BACKUP_PASSPHRASE="correct horse").err
    assert ("replaced the backup of 20" in notices, "not encrypted" in notices) == (True, True)


def test_full_disk_keeps_the_existing_backup(oppman: Oppman, site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    enlarge(site)
    assert oppman("backup", str(folder / "b.zip")).code == 0
    before = (folder / "b.zip").read_bytes()
    with files_no_larger_than(50_000):
        line = error_line(oppman, "backup", str(folder / "b.zip"))
    assert line.startswith(f"The backup cannot be written to {folder}: ")
    assert [path.name for path in folder.iterdir()] == ["b.zip"]
    assert (folder / "b.zip").read_bytes() == before


def test_upload_name_that_is_not_utf8_is_refused(oppman: Oppman, site: Site, tmp_path: Path) -> None:
    upload = site.upload.with_name(os.fsdecode(b"caf\xe9.png"))
    upload.write_bytes(b"picture")
    assert "caf\\udce9.png' is not UTF-8: rename the file" in error_line(oppman, "backup", str(tmp_path / "b.zip"))
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.usefixtures("site")
def test_backup_that_fails_a_check_is_deleted(oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add_wrong_checksum(writer: ArchiveWriter, _folder: Path) -> None:
        writer.add("uploads/a", io.BytesIO(b"a"))
        writer.members["uploads/a"].sha256 = "that of b"

    monkeypatch.setattr(uploads, "add_uploads", add_wrong_checksum)
    assert "uploads/a has changed since the backup" in error_line(oppman, "backup", str(tmp_path / "b.zip"))
    assert not list(tmp_path.glob("b.zip*"))


def test_unreachable_database_hides_secrets(oppman: Oppman, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database\n" * 100)
    for url in ("postgresql://me:s3cret@127.0.0.1:1/name", f"sqlite:///{tmp_path}/text.db"):
        oppman("showmigrations", DATABASE_URL=url)
        assert "s3cret" not in error_line(oppman, "backup", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


@only_postgresql
def test_dump_session_has_no_idle_timeout(site: Site) -> None:
    with connect(site.settings) as connection:
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = '1min'")
        pg_dump.Dump(connection, MigrationGraph(installed_names()))
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "0"


@only_postgresql
@pytest.mark.usefixtures("programs")
def test_dump_is_a_snapshot_of_its_start(site: Site, tmp_path: Path) -> None:
    graph = MigrationGraph(installed_names())
    with (tmp_path / "dump").open("wb") as file, pg_dump.open_dump(site.settings, graph) as dump:
        site.add_user("later@example.com")
        dump.write(site.settings, file)
    dump_file = (tmp_path / "dump").read_bytes()
    assert b"ada@example.com" in dump_file
    assert b"later@example.com" not in dump_file


@pytest.fixture
def old_pg_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An outdated pg_dump as the only program on the PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    (programs / "pg_dump").chmod(0o700)
    monkeypatch.setenv("PATH", str(programs))
    return programs / "pg_dump"


@only_postgresql
@pytest.mark.usefixtures("old_pg_dump")
def test_old_pg_dump_falls_back_to_a_sqlite_file(
    oppman: Oppman, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = oppman("backup", "b.zip")
    assert (result.code, result.err.count("\n")) == (0, 1), result
    assert result.err.startswith("Notice: pg_dump is not used: its version 9 is older than the server's")
    with open_archive(tmp_path / "b.zip") as archive:
        assert archive.manifest.database == "database.sqlite3"
    site.execute("UPDATE accounts_user SET email = 'changed@example.com'")
    assert oppman("restore", "--no-input", str(tmp_path / "b.zip")).code == 0
    assert site.emails() == ["ada@example.com"]


@only_postgresql
def test_pg_dump_needs_installation_and_a_direct_address(old_pg_dump: Path, site: Site) -> None:
    old_pg_dump.unlink()
    assert "it is not installed" in pg_dump.find_obstacle_to_dump(site.settings)
    pooled = site.settings.model_copy(update={"database_pooled": "true"})
    assert "set DATABASE_DIRECT_URL" in pg_dump.find_obstacle_to_dump(pooled)


def test_documented_backup_commands_work(oppman: Oppman, site: Site) -> None:
    section = read_guide("data.md").split("## Backup\n")[1].split("\n## ")[0]
    (site.folder / "nightly").mkdir()
    lines = re.findall(r"^python3 oppman.py (.+)", section, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["backup", "backup", "restore"]
    for line in lines:
        arguments = shlex.split(line.replace("/mnt/nightly", str(site.folder / "nightly")))
        result = oppman(*(str(backups_of(site)[0]) if word == "FILE" else word for word in arguments))
        assert result.code == 0, (line, result.err)


def test_killed_backup_leaves_no_partial_file(site: Site) -> None:
    folder = site.folder / "killed"
    folder.mkdir()
    for _ in kill_at_each_step(Work.back_up, site.work(folder)):
        for path in folder.glob("*.zip"):
            with open_archive(path) as archive:
                archive.check()
    assert site.emails() == ["ada@example.com"]
    names = [path.name for path in folder.iterdir()]
    assert not [name for name in names if not name.endswith(".zip")]


@pytest.fixture
def adopted(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with an adopted table, partition and separate sequence, beside tables of another program."""
    table = Table("Sold Items", Model.metadata, Column("id", Integer, primary_key=True))
    monkeypatch.setitem(adopted_tables, table.name, "jobs")
    for statement in (
        "CREATE SEQUENCE numbers",
        "CREATE TABLE \"Sold Items\" (id int PRIMARY KEY DEFAULT nextval('numbers')) PARTITION BY RANGE (id)",
        'CREATE TABLE early PARTITION OF "Sold Items" FOR VALUES FROM (1) TO (9)',
        'INSERT INTO "Sold Items" DEFAULT VALUES',
        "CREATE TABLE users_log (id int)",
        "INSERT INTO users_log VALUES (1)",
    ):
        site.execute(statement)
    yield site
    Model.metadata.remove(table)


@only_postgresql
@pytest.mark.usefixtures("programs")
def test_adopted_tables_are_backed_up_and_restored(oppman: Oppman, adopted: Site) -> None:
    path = str(adopted.folder / "b.zip")
    result = oppman("backup", path)
    assert "does not contain tables that no feature owns: users_log. If this site needs them" in result.err
    for statement in ('DELETE FROM "Sold Items"', "INSERT INTO users_log VALUES (2)"):
        adopted.execute(statement)
    assert oppman("restore", "--no-input", path).code == 0
    assert adopted.execute('SELECT id FROM "Sold Items"') == [(1,)]
    assert adopted.execute("SELECT id FROM users_log") == [(1,), (2,)], "the restore leaves tables of other programs"
    assert adopted.execute('INSERT INTO "Sold Items" DEFAULT VALUES RETURNING id') == [(2,)]


@only_postgresql
@pytest.mark.usefixtures("programs")
def test_tables_of_others_need_a_request(oppman: Oppman, adopted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(adopted.folder / "b.zip")
    with monkeypatch.context() as patch:  # as earlier versions, which took names for owners
        patch.setattr(pg_dump, "find_tables_to_dump", lambda *_arguments: ["alembic_version", "users_log"])
        assert oppman("backup", path).code == 0
    line = error_line(oppman, "restore", "--no-input", path)
    assert "would replace tables that no installed feature owns: users_log. To restore it anyway" in line


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("programs")
def test_incomplete_archive_is_refused(oppman: Oppman, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_users(count: Callable[..., dict[str, int]], *arguments: object) -> dict[str, int]:
        return count(*arguments) | {"accounts_user": 0}

    for module, name in ((pg_dump, "count_rows_in_dump"), (database_copy, "copy_snapshot")):
        monkeypatch.setattr(module, name, partial(without_users, getattr(module, name)))
    assert error_line(oppman, "backup").startswith("The backup is incomplete: of accounts_user, ")
    assert backups_of(site) == []
