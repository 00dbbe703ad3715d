"""Examination of a SQLite file and its disk."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from opportune.contrib.doctor import file
from opportune.contrib.doctor.diagnose import diagnose
from opportune.contrib.doctor.examination import DoctorContext, Finding, Status
from opportune.contrib.doctor.file import examine_file
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.project.installed import installed_names
from opportune.testing.plugin import settings_for
from opportune.testing.services.scratch import scratch
from tests.opportune.contrib.doctor.findings import find_finding

NOBODY = 65534

GRAPH = MigrationGraph(installed_names())  # loaded as the project's owner: `without_privileges` cannot read the files


@pytest.fixture
def path(sqlite_template: Path) -> Iterator[Path]:
    """Migrated database in a folder that all users may read."""
    with TemporaryDirectory(prefix="opportune-doctor-", dir=scratch()) as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / "site.db"
        copy.write_bytes(sqlite_template.read_bytes())
        copy.chmod(0o600)
        yield copy


def examine(path: Path, scheme: str = "sqlite") -> tuple[Finding, ...]:
    return tuple(examine_file(DatabaseUrl.parse(f"{scheme}:///{path}"), GRAPH))


def faults(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.check for finding in findings if finding.status == Status.FAULT]


@contextmanager
def without_privileges() -> Iterator[None]:
    """Run the block as an unprivileged user, because file modes do not restrict root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "log_mode", "text", "fix"),
    [
        pytest.param(0o444, 0o755, 0o666, "0444: this user may not write to it", "chmod", id="file"),
        pytest.param(0o666, 0o777, 0o444, "this user may not write to {log}", "Run: chmod u+w {log}", id="log"),
    ],
)
def test_read_only_path_is_a_fault(
    path: Path, file_mode: int, folder_mode: int, log_mode: int, text: str, fix: str
) -> None:
    log = path.with_name(f"{path.name}-shm")
    log.touch(mode=log_mode)
    path.chmod(file_mode)
    path.parent.chmod(folder_mode)
    with without_privileges():
        finding = find_finding("permissions", examine(path))
    path.parent.chmod(0o755)
    assert finding.status == Status.FAULT
    assert text.format(log=log) in finding.text
    assert fix.format(log=log) in finding.fix


def test_file_readable_by_other_users_is_a_notice(path: Path) -> None:
    path.chmod(0o644)
    finding = find_finding("permissions", examine(path))
    assert (finding.status, finding.fix) == (Status.NOTICE, f"Run: chmod 600 {path}")


@pytest.mark.parametrize(
    ("sql", "check", "text"),
    [
        ("BEGIN IMMEDIATE", "writes", "fuser"),
        ("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", "open", "locked by another process"),
    ],
)
def test_lock_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, check: str, text: str) -> None:
    monkeypatch.setattr(file, "LOCK_TIMEOUT_SECONDS", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript(sql)
        findings = examine(path)
    assert faults(findings) == [check]
    finding = find_finding(check, findings)
    assert text in finding.text + finding.fix


def test_damage_is_a_fault(path: Path) -> None:
    with path.open("r+b") as damaged:
        damaged.seek(4096 * 2)
        damaged.write(b"\x55" * 4096)
    assert faults(examine(path)) == ["integrity"]


def test_broken_foreign_keys_are_a_fault(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE child (parent INTEGER REFERENCES accounts_user (id))")
        connection.execute("INSERT INTO child VALUES (7)")
    finding = find_finding("integrity", examine(path))
    assert finding.status == Status.FAULT
    assert finding.text.startswith("1 row with a foreign key")


def test_file_loaded_into_memory_is_only_read(path: Path) -> None:
    path.chmod(0o400)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        findings = examine(path, "sqlite+memory")
    assert faults(findings) == []
    assert {"writes", "journal"}.isdisjoint(finding.check for finding in findings)


@pytest.mark.parametrize("name", ["missing.db", "."])
def test_missing_file_is_a_fault_and_not_created(path: Path, name: str) -> None:
    before = sorted(path.parent.iterdir())
    (finding,) = examine(path.parent / name)
    assert (finding.check, finding.status) == ("file", Status.FAULT)
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("check", "name", "value"),
    [("disk", "MIN_FREE_BYTES", 10**18), ("filesystem", "filesystem_type", lambda _: "nfs4")],
)
def test_bad_disk_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch, check: str, name: str, value: object) -> None:
    monkeypatch.setattr(file, name, value)
    assert faults(examine(path)) == [check]


def test_mount_point_may_have_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts, folder = tmp_path / "mountinfo", tmp_path / "my disk"
    escaped = str(folder).replace(" ", "\\040")
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / {escaped} rw - nfs4 host:/b rw\n")
    monkeypatch.setattr(file, "MOUNTS", mounts)
    assert [file.filesystem_type(path) for path in (tmp_path / "app.db", folder / "app.db")] == ["ext4", "nfs4"]


async def test_file_without_wal_is_a_notice_and_unchanged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    (diagnosis,) = await diagnose(DoctorContext(settings_for(f"sqlite:///{path}"), installed_names()))
    assert find_finding("journal", diagnosis.findings).status == Status.NOTICE
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
