import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from opportune.config.project import installed_names
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseURL
from opportune.ops.doctor import disk, file
from opportune.ops.doctor.context import DoctorContext
from opportune.ops.doctor.diagnose import diagnose
from opportune.ops.doctor.file import examine_file
from opportune.ops.doctor.results import Finding, Status
from opportune.testing.plugin import settings_for
from opportune.testing.services.scratch import scratch

NOBODY = 65534

GRAPH = MigrationGraph(installed_names())  # read by the user who has the project: another may not look into its folder


@pytest.fixture
def path(sqlite_template: Path) -> Iterator[Path]:
    """The file of a migrated database, in a folder that everybody may look into."""
    with TemporaryDirectory(prefix="opportune-doctor-", dir=scratch()) as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / "site.db"
        copy.write_bytes(sqlite_template.read_bytes())
        copy.chmod(0o600)
        yield copy


def look_at(path: Path, scheme: str = "sqlite") -> tuple[Finding, ...]:
    return tuple(examine_file(DatabaseURL.parse(f"{scheme}:///{path}"), GRAPH))


def faults(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.check for finding in findings if finding.status == Status.FAULT]


def only(check: str, findings: tuple[Finding, ...]) -> Finding:
    (found,) = (finding for finding in findings if finding.check == check)
    return found


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom the modes of files stop, which root is not."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_file_that_cannot_be_written_is_a_fault(path: Path) -> None:
    path.chmod(0o444)
    with without_privileges():
        findings = look_at(path)
    assert only("permissions", findings).text == "0444: this user may not write to it"
    path.parent.chmod(0o755)


def test_a_folder_that_cannot_be_written_is_a_fault(path: Path) -> None:
    path.chmod(0o666)
    path.parent.chmod(0o555)
    with without_privileges():
        findings = look_at(path)
    path.parent.chmod(0o755)
    assert "may not write to the folder" in only("permissions", findings).text


def test_a_log_that_cannot_be_written_since_the_file_could_not_be_is_a_fault(path: Path) -> None:
    path.chmod(0o666)
    path.parent.chmod(0o777)
    log = path.with_name(f"{path.name}-shm")
    log.touch(mode=0o444)
    with without_privileges():
        findings = look_at(path)
    found = only("permissions", findings)
    assert (found.text, found.fix) == (f"this user may not write to {log}", f"Run: chmod u+w {log}")


def test_a_file_that_others_can_read_is_a_notice(path: Path) -> None:
    path.chmod(0o644)
    found = only("permissions", look_at(path))
    assert (found.status, found.fix) == (Status.NOTICE, f"Run: chmod 600 {path}")


def test_a_locked_file_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "LOCK_TIMEOUT_SECONDS", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        findings = look_at(path)
    assert faults(findings) == ["writes"]
    assert "fuser" in only("writes", findings).fix


def test_a_file_for_one_program_alone_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "LOCK_TIMEOUT_SECONDS", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        findings = look_at(path)
    assert faults(findings) == ["open"]
    assert "locked by another process" in only("open", findings).text


def test_damage_is_a_fault(path: Path) -> None:
    with path.open("r+b") as damaged:
        damaged.seek(4096 * 2)
        damaged.write(b"\x55" * 4096)
    assert faults(look_at(path)) == ["integrity"]


def test_rows_that_point_at_nothing_are_a_fault(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE child (parent INTEGER REFERENCES accounts_user (id))")
        connection.execute("INSERT INTO child VALUES (7)")
    found = only("integrity", look_at(path))
    assert found.status == Status.FAULT
    assert found.text.startswith("1 row point")


def test_a_file_too_large_to_look_through_is_a_notice(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "INTEGRITY_TIMEOUT_SECONDS", -1)
    monkeypatch.setattr(file, "PROGRESS_INSTRUCTIONS", 1)
    assert only("integrity", look_at(path)).status == Status.NOTICE


def test_what_is_no_database_is_a_fault_and_stays_as_it_is(path: Path) -> None:
    path.write_text("a letter")
    (found,) = look_at(path)
    assert (found.check, found.status) == ("file", Status.FAULT)
    assert path.read_text() == "a letter"


def test_a_file_for_memory_is_only_read(path: Path) -> None:
    path.chmod(0o400)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        findings = look_at(path, "sqlite+memory")
    assert faults(findings) == []
    assert {"writes", "journal"}.isdisjoint(finding.check for finding in findings)


@pytest.mark.parametrize("name", ["missing.db", "no/such/folder.db", "."])
def test_a_missing_file_is_a_fault_and_is_not_made(path: Path, name: str) -> None:
    before = sorted(path.parent.iterdir())
    (found,) = look_at(path.parent / name)
    assert (found.check, found.status) == ("file", Status.FAULT)
    assert sorted(path.parent.iterdir()) == before


def test_a_full_disk_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MIN_FREE_BYTES", 10**18)
    assert faults(look_at(path)) == ["disk"]


def test_a_network_file_system_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "filesystem_of", lambda _: "nfs4")
    assert faults(look_at(path)) == ["filesystem"]


def test_the_file_system_is_that_of_the_deepest_and_newest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "23 22 0:20 / /mnt/my\\040data rw - ext4 /dev/sdb1 rw\n"
        "24 22 0:21 / /mnt/my\\040data rw shared:2 - nfs4 server:/share rw\n"
    )
    assert disk.filesystem_of(Path("/mnt/my data/app.db"), mounts) == "nfs4"
    assert disk.filesystem_of(Path("/mnt/my database/app.db"), mounts) == "ext4"
    assert disk.filesystem_of(Path("/mnt"), tmp_path / "absent") == ""


async def test_a_file_that_is_not_in_wal_mode_is_a_notice_and_stays_so(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    (diagnosis,) = await diagnose(DoctorContext(settings_for(f"sqlite:///{path}"), installed_names()))
    assert only("journal", diagnosis.findings).status == Status.NOTICE
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
