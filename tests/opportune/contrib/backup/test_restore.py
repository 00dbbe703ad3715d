"""`restore`: restored data, kept data, confirmation, corrupted archives and interruptions."""

import io
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Column, Integer, Table

from opportune.cli.development import check, feature_checks
from opportune.contrib.backup import pg_programs, pg_restore, uploads
from opportune.contrib.backup.marker import describe_interrupted_restore, interrupted_restore_logged, marker_path
from opportune.contrib.backup.restore import WORK_FOLDER_PREFIX
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.models.model import Model
from opportune.project.installed import installed_names
from opportune.services import Services
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.development.processes import Work, kill_at_each_step, restore_until_commit
from tests.opportune.contrib.backup.backups import Site, enlarge, error_line, only_postgresql
from tests.opportune.contrib.backup.corrupted_backups import CORRUPTIONS, rewrite
from tests.opportune.full_disk import files_no_larger_than


@pytest.fixture
def backup(oppman: Oppman, programs: None, site: Site) -> Path:
    """Backup of a site. Its database and uploads change after the backup."""
    path = site.folder / "b.zip"
    assert oppman("backup", str(path)).code == 0
    site.execute("UPDATE accounts_user SET email = 'bob@example.com'")
    site.upload.unlink()
    (site.folder / "uploads" / "later.txt").write_text("later")
    return path


def test_restore_replaces_database_and_uploads(oppman: Oppman, site: Site, backup: Path) -> None:
    site.path.chmod(0o640)
    result = oppman("restore", "--no-input", str(backup))
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Restored {backup}.\n")
    assert "migrate" not in result.out
    assert site.emails() == ["ada@example.com"]
    assert site.upload.read_bytes() == b"picture"
    assert not (site.folder / "uploads" / "later.txt").exists()
    assert f"The previous uploads were kept as {site.folder}/uploads.before-restore." in result.out
    assert f"The previous database was kept as {site.path}.before-restore." in result.out
    assert site.path.stat().st_mode & 0o777 == 0o640
    assert not list(site.path.parent.glob("*.tmp*"))
    site.add_user("next@example.com")  # ids continue after the restored ones
    assert oppman("migrate", "--check").code == 0


def test_unused_identity_is_reported(oppman: Oppman, backup: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert oppman("restore", "--rehearse", "--identity", __file__, str(backup)).code == 0
    assert caplog.messages == [f"{backup} is not encrypted, so the private key is not used."]


def test_second_restore_keeps_both_previous_databases(oppman: Oppman, site: Site, backup: Path) -> None:
    assert oppman("restore", "--no-input", str(backup)).code == 0
    site.execute("UPDATE accounts_user SET email = 'cat@example.com'")
    assert oppman("restore", "--no-input", str(backup)).code == 0
    first, second = (site.path.with_name(f"test.db.before-restore{number}") for number in ("", "-2"))
    assert site.with_url(f"sqlite:///{first}").emails() == ["bob@example.com"]
    assert site.with_url(f"sqlite:///{second}").emails() == ["cat@example.com"]
    assert (site.folder / "uploads.before-restore" / "later.txt").exists()
    assert (site.folder / "uploads.before-restore-2" / "a" / "picture.png").exists()


def test_failed_restore_of_uploads_is_reported(
    oppman: Oppman, site: Site, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "replace_folder", fail)
        line = error_line(oppman, "restore", "--no-input", str(backup))
    assert line == "The database is restored, but its uploads cannot be restored: No space left on device.\n"
    assert site.emails() == ["ada@example.com"]
    monkeypatch.setattr(check, "CHECKS", (feature_checks.check_features,))  # the others are slow
    report = oppman("check")
    assert report.code == 1
    assert "was interrupted: the database may be the backup's" in report.out
    assert f"python3 oppman.py restore {backup}." in report.out
    assert oppman("restore", "--no-input", str(backup)).code == 0
    assert not marker_path(site.settings).exists()
    assert site.upload.read_bytes() == b"picture"


async def test_start_reports_interrupted_restore(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    marker_path(site.settings).write_text("b.zip\n2026-11-23 09:50 UTC\n")
    async with interrupted_restore_logged(cast("Services", SimpleNamespace(settings=site.settings))):
        assert "Run it again: python3 oppman.py restore b.zip." in caplog.text


def test_backup_with_other_features_needs_an_option(oppman: Oppman, site: Site) -> None:
    path = str(site.folder / "b.zip")
    site.execute("INSERT INTO alembic_version VALUES ('ferries_0001_initial')")
    assert oppman("backup", path).code == 0
    line = error_line(oppman, "restore", "--no-input", path)
    assert "has migrations of features that are not installed here: ferries." in line
    assert "--from-another-site" in line
    assert oppman("restore", "--no-input", "--from-another-site", path).code == 0


def test_mounted_uploads_are_refused(oppman: Oppman, site: Site, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "uploads")
    assert "is a mount point" in error_line(oppman, "restore", "--no-input", str(backup))
    assert site.emails() == ["bob@example.com"]


@pytest.mark.parametrize(("reply", "code", "email"), [("yes", 0, "ada@example.com"), ("y", 1, "bob@example.com")])
def test_restore_asks_for_confirmation(
    oppman: Oppman, site: Site, backup: Path, monkeypatch: pytest.MonkeyPatch, reply: str, code: int, email: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{reply}\n"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    result = oppman("restore", str(backup))
    assert (result.code, site.emails()) == (code, [email])
    assert "It will replace all data in sqlite" in result.out


def test_restore_without_terminal_needs_no_input(oppman: Oppman, site: Site, backup: Path) -> None:
    assert oppman("restore", str(backup)).code == 2
    assert site.emails() == ["bob@example.com"]
    for options in ((), ("--rehearse",)):
        missing = str(site.folder / "none.zip")
        assert "none.zip cannot be read: No such file" in error_line(oppman, "restore", *options, missing)


def test_corrupted_backups_are_refused(oppman: Oppman, site: Site, backup: Path) -> None:
    """All corruptions are tested on one site, which must stay unchanged."""
    intact_backup = backup.read_bytes()
    uploads = sorted(path for path in site.folder.rglob("*") if "uploads" in path.parts)
    for corrupt, message in CORRUPTIONS:
        for path in (backup, backup.with_name("copy.zip")):
            path.write_bytes(intact_backup)
        corrupt(backup)
        assert message in error_line(oppman, "restore", "--no-input", str(backup))
        assert site.emails() == ["bob@example.com"], message
        assert sorted(path for path in site.folder.rglob("*") if "uploads" in path.parts) == uploads, message
        assert [path.name for path in site.path.parent.glob("test.db*")] == ["test.db"], message


def test_database_in_use_is_not_replaced(oppman: Oppman, site: Site, backup: Path) -> None:
    with closing(sqlite3.connect(site.path)) as connection:
        connection.execute("SELECT count(*) FROM accounts_user").fetchall()
        assert "is in use: stop the server" in error_line(oppman, "restore", "--no-input", str(backup))
    assert site.emails() == ["bob@example.com"]
    assert not marker_path(site.settings).exists()


def test_full_disk_changes_nothing(oppman: Oppman, site: Site, backup: Path) -> None:
    enlarge(site)
    assert oppman("backup", str(backup)).code == 0
    with files_no_larger_than(50_000):
        line = error_line(oppman, "restore", "--no-input", str(backup))
    assert line.startswith("The backup cannot be restored: ")
    assert site.emails() == ["bob@example.com"]
    assert [path.name for path in site.path.parent.glob("test.db*")] == ["test.db"]


def test_damaged_database_is_replaced_and_kept(oppman: Oppman, site: Site, backup: Path) -> None:
    site.path.write_bytes(b"not a database\n" * 1000)
    site.path.with_name("test.db-wal").write_bytes(b"its WAL")
    assert oppman("restore", "--no-input", str(backup)).code == 0
    assert site.emails() == ["ada@example.com"]
    assert site.path.with_name("test.db.before-restore").read_bytes().startswith(b"not a")
    assert site.path.with_name("test.db.before-restore-wal").read_bytes() == b"its WAL"


def test_stale_wal_file_is_not_applied(oppman: Oppman, site: Site, backup: Path) -> None:
    saved_wal = site.folder / "wal"
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute("UPDATE accounts_user SET email = 'ghost@example.com'")
        shutil.copyfile(f"{site.path}-wal", saved_wal)
    site.path.unlink()
    shutil.copyfile(saved_wal, f"{site.path}-wal")
    assert oppman("restore", "--no-input", str(backup)).code == 0
    assert site.emails() == ["ada@example.com"]


@only_postgresql
def test_refused_postgresql_restore_changes_nothing(
    oppman: Oppman, site: Site, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert "needs pg_restore and psql: install" in error_line(oppman, "restore", "--no-input", str(backup))
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
        assert "is a PostgreSQL dump" in error_line(oppman, "restore", "--no-input", str(backup))
    assert not (tmp_path / "new.db").exists()
    site.execute("CREATE VIEW emails AS SELECT email FROM accounts_user")  # a view of another program on our tables
    assert "First drop views and foreign keys" in error_line(oppman, "restore", "--no-input", str(backup))
    site.execute("DROP VIEW emails")
    revision = MigrationGraph(installed_names()).ordered[0].revision
    rewrite(backup, lambda _members, manifest: manifest["revisions"].append(revision))
    assert "its migrations differ from its manifest" in error_line(oppman, "restore", "--no-input", str(backup))
    assert site.emails() == ["bob@example.com"]


def test_german_error_is_found_by_its_code() -> None:
    output = "psql:<stdin>:3: HINWEIS:  00000: alt\npsql:<stdin>:4: FEHLER:  2BP01: nicht möglich\nORT:  x.c:1\n"
    assert pg_programs.error_line(output.encode()) == "2BP01: nicht möglich"


def test_script_settings_are_local_to_the_transaction() -> None:
    settings = b"SET lock_timeout = 0;\nSET transaction_timeout = 0;\n"
    settings += b"SELECT pg_catalog.set_config('search_path', '', false);\n"
    output = io.BytesIO()
    pg_restore.copy_script(io.BytesIO(settings + b"CREATE TABLE x ();\nSET y = 1;\n"), output)
    assert output.getvalue() == (
        b"SET LOCAL lock_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', true);\n"
        b"CREATE TABLE x ();\nSET y = 1;\n"
    )


def test_killed_restore_leaves_old_or_new_rows(site: Site, backup: Path) -> None:
    emails: list[str] = []
    reports: list[str] = []
    for _ in kill_at_each_step(Work.restore, site.work(backup)):
        assert site.execute("PRAGMA integrity_check") == [("ok",)]
        emails += map(str, site.emails())
        reports.append(describe_interrupted_restore(site.settings))
        if emails[-1] == "ada@example.com":
            assert site.upload.exists() or f"restore {backup}." in reports[-1]
    assert {*emails} == {"ada@example.com", "bob@example.com"}
    assert emails == sorted(emails, reverse=True)
    assert any(reports)
    assert reports[-1] == ""
    assert site.upload.read_bytes() == b"picture"
    previous_database = site.path.with_name("test.db.before-restore")
    assert site.with_url(f"sqlite:///{previous_database}").emails() == ["bob@example.com"]
    assert (site.folder / "uploads.before-restore" / "later.txt").read_text() == "later"


@only_postgresql
def test_postgresql_restore_is_one_transaction(site: Site, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = site.folder / "temporary"
    temporary.mkdir()
    site.execute("CREATE TABLE accounts_archive (id int)")  # of another program
    site.execute("CREATE TABLE accounts_later (id int)")
    restore_until_commit(replace(site.work(backup), temporary=str(temporary)))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # not before: its path is too long for a process's socket
    assert len(list(temporary.glob(f"{WORK_FOLDER_PREFIX}*"))) == 1
    assert site.emails() == ["bob@example.com"]
    later = Table("accounts_later", Model.metadata, Column("id", Integer))
    try:
        site.work(backup).restore()
    finally:
        Model.metadata.remove(later)
    assert site.emails() == ["ada@example.com"]
    assert list(temporary.glob(f"{WORK_FOLDER_PREFIX}*")) == []
    missing = site.execute("SELECT to_regclass('accounts_archive') IS NULL, to_regclass('accounts_later') IS NULL")
    assert missing == [(False, True)]
