"""Backups at BACKUP_URL, as commands make them, bring them back and rehearse that."""

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from opportune.errors import OperatorError
from opportune.ops.backup import age, rehearsal, store
from opportune.ops.backup.age import CHUNK_BYTES, EncryptingWriter, decrypt
from opportune.ops.backup.retention import parse_keep, superseded
from opportune.ops.backup.store import StoredBackup
from opportune.storage import open_storage
from opportune.testing.services.s3 import s3_server, s3_url
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.database.backups import Site, only_postgresql, only_sqlite, programs, refused, site

pytestmark = only_sqlite

__all__ = ["programs", "s3_server", "s3_url", "site"]  # fixtures


@pytest.fixture(autouse=True)
def _keys_that_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "SCRYPT_WORK_BITS", 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What BACKUP_URL names."""
    monkeypatch.setenv("BACKUP_URL", f"file:{tmp_path / 'away'}")
    return tmp_path / "away"


@only_postgresql
@pytest.mark.usefixtures("programs")
def test_encrypted_backup_in_a_bucket(oppman: Oppman, site: Site, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_URL", s3_url)
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    made = oppman("backup")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith(f"Backed up to {s3_url.replace('access:secret@', '').removesuffix('?tls=false')}: ")
    (listed,) = json.loads(oppman("backup", "--json").out)
    assert listed["file"].endswith("-postgresql.zip.age")
    assert listed["encrypted"]
    rehearsed = oppman("restore", "--rehearse").out
    assert rehearsed.startswith(f"Tested the restore. {listed['file']}: ")
    assert "rows and 1 uploads match the backup (into " in rehearsed
    site.add("later@example.com")
    site.upload.unlink()
    assert oppman("restore", "--latest", "--no-input").code == 0
    assert site.emails() == ["ada@example.com"]
    assert site.upload.read_bytes() == b"picture"
    site.add("next@example.com")  # numbers go on where they were
    assert oppman("migrate", "--check").code == 0
    monkeypatch.setenv("BACKUP_PASSPHRASE", "another")
    assert "encrypted with another passphrase" in refused(oppman, "restore", "--latest", "--no-input")
    monkeypatch.delenv("BACKUP_PASSPHRASE")
    assert "is encrypted: set BACKUP_PASSPHRASE" in refused(oppman, "restore", "--rehearse", listed["file"])


def test_bucket_uploads_are_backed_up(
    oppman: Oppman, site: Site, folder: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_URL", s3_url)
    storage = open_storage(site.settings.model_copy(update={"storage_url": SecretStr(s3_url)}))
    lost, kept = [asyncio.run(storage.save("photos", "png", each, "image/png")) for each in (b"one", b"two")]
    assert oppman("backup").err == ""
    assert "2 uploads" in oppman("restore", "--rehearse").out
    asyncio.run(storage.delete(lost))
    restored = oppman("restore", "--latest", "--no-input")
    assert (restored.code, "uploads are" in restored.out) == (0, False), restored
    assert [asyncio.run(storage.read(name)) for name in (lost, kept)] == [b"one", b"two"]
    monkeypatch.setenv("BACKUP_BUCKET_UPLOADS", "false")
    assert "does not contain the uploads in" in oppman("backup").err
    monkeypatch.delenv("BACKUP_BUCKET_UPLOADS")
    there = [*folder.iterdir()]
    monkeypatch.setenv("STORAGE_URL", "s3://a:s3cr3t@127.0.0.1:1/away?tls=false")
    assert refused(oppman, "backup").startswith("The uploads in s3://127.0.0.1:1/away cannot be reached: ")
    assert [*folder.iterdir()] == there, "nothing of what failed is left"


@only_postgresql
@pytest.mark.usefixtures("programs", "folder")
def test_rehearsal_without_createdb_reads_the_dump(oppman: Oppman, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("zoë@example.com")
    assert oppman("backup").code == 0
    monkeypatch.setattr(rehearsal, "_create_database", lambda *_: False)
    assert "match the backup (read but not restored: this user may" in oppman("restore", "--rehearse").out


def test_incomplete_transfer_fails(oppman: Oppman, site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setenv("BACKUP_KEEP", "1 daily")
    for name in ("notes.txt", "other-20260101T000000Z-sqlite.zip", "opportune-20260101T000000Z-sqlite.zip"):
        (folder / name).write_text("x")
    parts: Callable[..., object] = store.BackupStore._download
    monkeypatch.setattr(store.BackupStore, "_download", lambda *_: iter((b"cut",)))
    assert "arrived damaged at " in refused(oppman, "backup")
    assert [path.name for path in folder.glob("opportune-*")] == ["opportune-20260101T000000Z-sqlite.zip"]
    monkeypatch.setattr(store.BackupStore, "_download", parts)
    done = oppman("backup")
    assert "Removed opportune-20260101T000000Z-sqlite.zip." in done.out
    ours = [path for path in folder.iterdir() if path.name.startswith("opportune-")]
    assert [path.stat().st_mode & 0o777 for path in ours] == [0o600]
    assert {path.name for path in folder.iterdir()} == {ours[0].name, "notes.txt", "other-20260101T000000Z-sqlite.zip"}
    with zipfile.ZipFile(ours[0]) as archive:  # nothing of ours is needed to open one without a passphrase
        assert archive.testzip() is None
    # A row that is gone when it is restored is found by the rehearsal.
    content = ours[0].read_bytes()
    assert "`backup --list` shows the names at BACKUP_URL" in refused(oppman, "restore", "nothing.zip")
    ours[0].write_bytes(content[: len(content) // 2])
    assert refused(oppman, "restore", "--rehearse").startswith(f"{ours[0].name} is not a complete backup")


def test_two_sites_share_a_bucket(oppman: Oppman, site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a site and the one where its changes are tried are, where one has the other's settings."""
    monkeypatch.setenv("BACKUP_KEEP", "1 daily")
    folder.mkdir()
    older = "books.example.org-20260101T000000Z-sqlite.zip"
    (folder / older).write_text("x")
    monkeypatch.setenv("BASE_URL", "https://tried.example.org:8443")
    site.add("tried@example.com")
    assert "Removed" not in oppman("backup").out
    assert "tried@example.com" in site.emails()
    monkeypatch.setenv("BASE_URL", "https://books.example.org")
    assert [each["file"] for each in json.loads(oppman("backup", "--json").out)] == [older]
    assert f"{older} is not a complete backup" in refused(oppman, "restore", "--rehearse")
    (theirs,) = [path.name for path in folder.iterdir() if path.name != older]
    assert theirs.startswith("tried.example.org-8443-")
    assert "is a backup of another site" in refused(oppman, "restore", theirs, "--no-input")
    assert oppman("restore", theirs, "--no-input", "--from-another-site").code == 0
    (folder / older).unlink()
    monkeypatch.delenv("BASE_URL")
    assert f"begin with opportune- (from SITE_NAME). If {theirs} belongs to this site, pass that name." in refused(
        oppman, "restore", "--latest", "--no-input"
    )


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"BACKUP_URL": "s3://a:s3cr3t@127.0.0.1:1/away?tls=false"}, "s3://127.0.0.1:1/away cannot be used"),
        ({"BACKUP_URL": "ftp://a:s3cr3t@host"}, "BACKUP_URL names neither a folder nor a bucket"),
        ({"BACKUP_URL": "file:/proc/away"}, "/proc/away cannot be used for backups"),
        ({"BACKUP_URL": f"file:/{'x' * 300}"}, "x cannot be used for backups"),
        ({"BACKUP_KEEP": "some"}, "BACKUP_KEEP is 'some': write numbers of backups, such as '7 daily"),
        ({"BACKUP_KEEP": "0 daily"}, "BACKUP_KEEP is"),
    ],
)
@pytest.mark.usefixtures("site", "folder")
def test_unusable_backup_place_hides_secrets(
    oppman: Oppman, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], words: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    said = refused(oppman, "backup")
    assert words in said
    assert "s3cr3t" not in said


@pytest.mark.usefixtures("site")
def test_backup_to_restore_must_exist(oppman: Oppman, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert oppman("restore").code == 2
    assert oppman("restore", "x.zip", "--latest").code == 2
    assert oppman("backup", "--keep", "3").code == 2
    said = f"There is no backup of this site at {folder}. Their names begin with opportune- (from SITE_NAME).\n"
    assert refused(oppman, "restore", "--latest") == said
    name = "opportune-20260101T000000Z-sqlite.zip"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert f"There is no backup {name}.age at {folder}. The newest is {name}" in refused(
        oppman, "restore", f"{name}.age", "--no-input"
    )
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    (folder / "opportune-20251231T000000Z-sqlite.zip.age").write_text("x")
    older = "opportune-20251231T000000Z-sqlite.zip.age cannot be decrypted. It is not an age file with a passphrase"
    assert older in refused(oppman, "restore", "--rehearse"), "not the newer one, which anybody may have put there"
    (folder / "opportune-20251231T000000Z-sqlite.zip.age").unlink()
    assert "are not encrypted with BACKUP_PASSPHRASE" in refused(oppman, "restore", "--latest", "--no-input")
    assert f"{name} is not a complete backup" in refused(oppman, "restore", "--rehearse", name)


def at(day: int, hour: int = 3) -> StoredBackup:
    made = datetime(2026, 1, 1, hour, tzinfo=UTC) + timedelta(days=day - 1)
    return StoredBackup(made, f"{made:%j-%H}", 1, "site")


def test_the_newest_of_each_day_week_and_month_stay() -> None:
    backups = [at(day, hour) for day in range(1, 60) for hour in (3, 15)]
    gone = superseded(backups, parse_keep("2 daily, 3 weekly, 2 Monthly"))
    kept = [backup.created.strftime("%m-%d %H") for backup in sorted(set(backups) - set(gone))]
    assert kept == ["01-31 15", "02-15 15", "02-22 15", "02-27 15", "02-28 03", "02-28 15"]
    assert superseded(backups[:1], parse_keep("1 yearly")) == []


@pytest.mark.parametrize("size", [0, 5, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_encryption_detects_changes_and_cuts(size: int) -> None:
    sealed = io.BytesIO()
    writer = EncryptingWriter(sealed, "words")
    writer.write(b"x" * size)
    writer.finish()
    content = sealed.getvalue()
    assert b"".join(decrypt(io.BytesIO(content), "words")) == b"x" * size
    changed = content[:-1] + bytes([content[-1] ^ 1])
    for wrong in (changed, content[:-16], content[:100], b"PK" + content):
        with pytest.raises(OperatorError):
            list(decrypt(io.BytesIO(wrong), "words"))
    with pytest.raises(OperatorError, match="another passphrase"):
        list(decrypt(io.BytesIO(content), "other"))
