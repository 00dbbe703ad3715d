"""Backups at BACKUP_URL: creation, restore, rehearsal, retention and encryption, also to public keys."""

import asyncio
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from pyrage import decrypt as decrypt_age
from pyrage import x25519

from opportune.cli.development import check, feature_checks
from opportune.contrib.backup import age, store
from opportune.contrib.backup.age import CHUNK_BYTES, EncryptingWriter, decrypt
from opportune.contrib.backup.archive import Member
from opportune.contrib.backup.scheduled import find_superseded
from opportune.contrib.backup.settings import parse_keep
from opportune.contrib.backup.store import StoredBackup
from opportune.errors import OperatorError
from opportune.storage import open_storage
from tests.opportune.cli.conftest import Oppman
from tests.opportune.contrib.backup.backups import Site, error_line, only_postgresql
from tests.opportune.full_disk import files_no_larger_than
from tests.opportune.storage.s3_server import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]  # fixtures

KEY = x25519.Identity.generate()


@pytest.fixture(autouse=True)
def _fast_key_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "SCRYPT_WORK_BITS", 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of BACKUP_URL."""
    monkeypatch.setenv("BACKUP_URL", f"file:{tmp_path / 'away'}")
    return tmp_path / "away"


@only_postgresql
@pytest.mark.usefixtures("programs")
def test_encrypted_backup_in_a_bucket(
    oppman: Oppman, site: Site, s3_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BACKUP_URL", s3_url)
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    created = oppman("backup")
    assert (created.code, created.err) == (0, "")
    assert created.out.startswith(f"Backed up to {s3_url.replace('access:secret@', '').removesuffix('?tls=false')}: ")
    (row,) = json.loads(oppman("backup", "--json").out)
    assert row["file"].endswith("-postgresql.zip.age")
    assert row["encrypted"]
    rehearsal_output = oppman("restore", "--rehearse", "--identity", __file__).out
    assert "is encrypted with a passphrase, so the private key is not used." in caplog.text
    assert rehearsal_output.startswith(f"Tested the restore. {row['file']}: ")
    assert "rows and 1 upload match the backup (into " in rehearsal_output
    site.add_user("later@example.com")
    site.upload.unlink()
    assert oppman("restore", "--latest", "--no-input").code == 0
    assert site.emails() == ["ada@example.com"]
    assert site.upload.read_bytes() == b"picture"
    site.add_user("next@example.com")  # ids continue after the restored ones
    assert oppman("migrate", "--check").code == 0
    monkeypatch.setenv("BACKUP_PASSPHRASE", "another")
    assert "encrypted with another passphrase" in error_line(oppman, "restore", "--latest", "--no-input")
    monkeypatch.delenv("BACKUP_PASSPHRASE")
    assert "is encrypted with a passphrase: set BACKUP_PASSPHRASE" in error_line(
        oppman, "restore", "--rehearse", row["file"]
    )


def test_bucket_uploads_are_backed_up(
    oppman: Oppman, site: Site, folder: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_URL", s3_url)
    storage = open_storage(site.settings.model_copy(update={"storage_url": SecretStr(s3_url)}))
    deleted, existing = [asyncio.run(storage.save("photos", "png", file, "image/png")) for file in (b"one", b"two")]
    assert oppman("backup").err == ""
    assert "2 uploads" in oppman("restore", "--rehearse").out
    asyncio.run(storage.delete(deleted))
    restored = oppman("restore", "--latest", "--no-input")
    assert (restored.code, "uploads are" in restored.out) == (0, False), restored
    assert [asyncio.run(storage.read(name)) for name in (deleted, existing)] == [b"one", b"two"]
    monkeypatch.setenv("BACKUP_BUCKET_UPLOADS", "false")
    assert "does not contain the uploads in" in oppman("backup").err
    monkeypatch.delenv("BACKUP_BUCKET_UPLOADS")
    files_before = [*folder.iterdir()]
    monkeypatch.setenv("STORAGE_URL", "s3://a:s3cr3t@127.0.0.1:1/away?tls=false")
    assert error_line(oppman, "backup").startswith("The uploads in s3://127.0.0.1:1/away cannot be reached: ")
    assert [*folder.iterdir()] == files_before, "the failed backup left a file"


def test_incomplete_transfer_fails(oppman: Oppman, site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setenv("BACKUP_KEEP", "1 daily")
    for name in ("notes.txt", "other-20260101T000000Z-sqlite.zip", "opportune-20260101T000000Z-sqlite.zip"):
        (folder / name).write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(store, "copy_stream", lambda *_: Member(size=3, sha256="cut"))
        assert "arrived damaged at " in error_line(oppman, "backup")
    assert [path.name for path in folder.glob("opportune-*")] == ["opportune-20260101T000000Z-sqlite.zip"]
    assert "Removed opportune-20260101T000000Z-sqlite.zip." in oppman("backup").out
    own_backups = [path for path in folder.iterdir() if path.name.startswith("opportune-")]
    assert [path.stat().st_mode & 0o777 for path in own_backups] == [0o600]
    names = {own_backups[0].name, "notes.txt", "other-20260101T000000Z-sqlite.zip"}
    assert {path.name for path in folder.iterdir()} == names
    with zipfile.ZipFile(own_backups[0]) as archive:
        assert archive.testzip() is None
    content = own_backups[0].read_bytes()
    assert "`backup --list` shows the names at BACKUP_URL" in error_line(oppman, "restore", "nothing.zip")
    own_backups[0].write_bytes(content[: len(content) // 2])
    assert error_line(oppman, "restore", "--rehearse").startswith(f"{own_backups[0].name} is not a complete backup")


def test_two_sites_share_a_bucket(oppman: Oppman, site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site and its staging site use the same BACKUP_URL and differ in BASE_URL."""
    monkeypatch.setenv("BACKUP_KEEP", "1 daily")
    folder.mkdir()
    older = "books.example.org-20260101T000000Z-sqlite.zip"
    (folder / older).write_text("x")
    monkeypatch.setenv("BASE_URL", "https://staging.example.org:8443")
    site.add_user("staging@example.com")
    assert "Removed" not in oppman("backup").out
    assert "staging@example.com" in site.emails()
    monkeypatch.setenv("BASE_URL", "https://books.example.org")
    assert [row["file"] for row in json.loads(oppman("backup", "--json").out)] == [older]
    assert f"{older} is not a complete backup" in error_line(oppman, "restore", "--rehearse")
    (staging_backup,) = [path.name for path in folder.iterdir() if path.name != older]
    assert staging_backup.startswith("staging.example.org-8443-")
    assert "is a backup of another site" in error_line(oppman, "restore", staging_backup, "--no-input")
    assert oppman("restore", staging_backup, "--no-input", "--from-another-site").code == 0
    (folder / older).unlink()
    monkeypatch.delenv("BASE_URL")
    line = error_line(oppman, "restore", "--latest", "--no-input")
    assert f"opportune- (from SITE_NAME). If {staging_backup} belongs to this site, pass that name." in line


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"BACKUP_URL": "s3://a:s3cr3t@127.0.0.1:1/away?tls=false"}, "s3://127.0.0.1:1/away cannot be used"),
        ({"BACKUP_URL": "ftp://a:s3cr3t@host"}, "BACKUP_URL names neither a folder nor a bucket"),
        ({"BACKUP_URL": "file:/proc/away"}, "/proc/away cannot be used for backups"),
        ({"BACKUP_KEEP": "some"}, "BACKUP_KEEP is 'some': write numbers of backups, such as '7 daily"),
    ],
)
@pytest.mark.usefixtures("site", "folder")
def test_unusable_backup_url_hides_secrets(oppman: Oppman, environ: dict[str, str], message: str) -> None:
    error = oppman("backup", **environ).line()
    assert message in error
    assert "s3cr3t" not in error


def backup_at(day: int, hour: int = 3) -> StoredBackup:
    created = datetime(2026, 1, 1, hour, tzinfo=UTC) + timedelta(days=day - 1)
    return StoredBackup(created, f"{created:%j-%H}", 1, "site")


def test_newest_backup_of_each_period_is_kept() -> None:
    backups = [backup_at(day, hour) for day in range(1, 60) for hour in (3, 15)]
    removed = find_superseded(backups, parse_keep("2 daily, 3 weekly, 2 Monthly"))
    kept = [backup.created.strftime("%m-%d %H") for backup in sorted(set(backups) - set(removed))]
    assert kept == ["01-31 15", "02-15 15", "02-22 15", "02-27 15", "02-28 03", "02-28 15"]
    assert find_superseded(backups[:1], parse_keep("1 yearly")) == []


@pytest.mark.parametrize("size", [0, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_encryption_detects_changes_and_truncation(size: int) -> None:
    encrypted = io.BytesIO()
    writer = EncryptingWriter(encrypted, "words")
    writer.write(b"x" * size)
    writer.finish()
    content = encrypted.getvalue()
    assert b"".join(decrypt(io.BytesIO(content), "words")) == b"x" * size
    changed = content[:-1] + bytes([content[-1] ^ 1])
    for damaged in (changed, content[:-16], content[:100], b"PK" + content):
        with pytest.raises(OperatorError):
            list(decrypt(io.BytesIO(damaged), "words"))
    with pytest.raises(OperatorError, match="another passphrase"):
        list(decrypt(io.BytesIO(content), "other"))


@pytest.fixture
def away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of BACKUP_URL of a site that encrypts to a public key."""
    monkeypatch.setenv("BACKUP_RECIPIENT", str(KEY.to_public()))
    return folder


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"# created by age-keygen\n  # public key: {KEY.to_public()}\n{KEY}\n", encoding="utf-8-sig")
    return path


def only_backup(away: Path) -> Path:
    (path,) = away.iterdir()
    return path


def test_private_key_opens_backup(
    oppman: Oppman, site: Site, away: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = oppman("backup")
    assert (created.code, created.err) == (0, "")
    (row,) = json.loads(oppman("backup", "--json").out)
    assert row["encrypted"]
    site.add_user("later@example.com")
    site.upload.unlink()
    assert oppman("restore", "--latest", "--no-input", "--identity", str(key_file)).code == 0
    assert site.emails() == ["ada@example.com"]
    assert site.upload.read_bytes() == b"picture"
    monkeypatch.setenv("BACKUP_IDENTITY", str(KEY))
    assert "match the backup" in oppman("restore", "--rehearse").out


@pytest.mark.usefixtures("site")
def test_full_temporary_folder_is_reported(oppman: Oppman, away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_RECIPIENT", "")
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    oppman("backup")
    for source in ("--latest", str(only_backup(away))):
        with files_no_larger_than(1_000):
            assert "zip.age cannot be stored in " in error_line(oppman, "restore", "--no-input", source)


@pytest.mark.usefixtures("site")
def test_recipients_win_over_passphrase(oppman: Oppman, away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = x25519.Identity.generate()
    monkeypatch.setenv("BACKUP_RECIPIENT", f"{KEY.to_public()}, {other.to_public()}")
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    oppman("backup")
    sealed = only_backup(away).read_bytes()
    assert decrypt_age(sealed, [KEY]) == decrypt_age(sealed, [other])
    assert decrypt_age(sealed, [KEY]).startswith(b"PK")


@pytest.mark.usefixtures("site")
def test_wrong_or_missing_identity_is_reported(oppman: Oppman, away: Path, key_file: Path) -> None:
    oppman("backup")
    error = error_line(oppman, "restore", "--latest", "--no-input")
    assert error.startswith(f"{only_backup(away).name} is encrypted to a public key: pass the file")
    for content, message in (
        (str(x25519.Identity.generate()), "It was encrypted to another public key: use"),
        ("AGE-SECRET-KEY-1S3CR3T", "The file contains no private key: age's keys are"),
        ("\n", "key.txt is empty. Name the file that age-keygen wrote."),
        ("# nothing else", "The file contains no private key: age's keys are lines that"),
    ):
        key_file.write_text(content)
        error = error_line(oppman, "restore", "--latest", "--no-input", "--identity", str(key_file))
        assert message in error
        assert "S3CR3T" not in error
    key_file.unlink()
    error = error_line(oppman, "restore", "--latest", "--no-input", "--identity", str(key_file))
    assert "key.txt cannot be read: No such file or directory." in error


def test_invalid_recipient_is_refused(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHECKS", (feature_checks.check_features,))  # the others are slow
    for keys in (f"{KEY.to_public()},{KEY}", ","):
        message = oppman("check", BACKUP_RECIPIENT=keys).out
        assert "BACKUP_RECIPIENT: must be one or more public keys of age (age1…), separated by commas." in message
        assert str(KEY) not in message
