"""Backups that are encrypted to public keys of age, and restored with a private key."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from pyrage import decrypt, x25519

from opportune.config.settings import Settings
from opportune.contrib.backup import store
from opportune.contrib.backup.jobs import rehearse_restore
from opportune.contrib.backup.settings import BackupSettings
from opportune.errors import OperatorError
from tests.opportune.cli.conftest import Oppman
from tests.opportune.contrib.backup.backups import Site, error_line, site

__all__ = ["site"]  # fixtures

KEY = x25519.Identity.generate()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKUP_URL", f"file:{tmp_path / 'away'}")
    monkeypatch.setenv("BACKUP_RECIPIENT", str(KEY.to_public()))
    return tmp_path / "away"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"# public key: {KEY.to_public()}\n{KEY}\n")
    return path


def only_backup(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("from_setting", [False, True], ids=["key file", "BACKUP_IDENTITY"])
def test_private_key_opens_backup(
    oppman: Oppman, site: Site, folder: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, *, from_setting: bool
) -> None:
    created = oppman("backup")
    assert (created.code, created.err) == (0, "")
    (row,) = json.loads(oppman("backup", "--json").out)
    assert row["encrypted"]
    site.add_user("later@example.com")
    site.upload.unlink()
    options = ["--identity", str(key_file)]
    if from_setting:
        monkeypatch.setenv("BACKUP_IDENTITY", str(KEY))
        options = []
    assert oppman("restore", "--latest", "--no-input", *options).code == 0
    assert site.emails() == ["ada@example.com"]
    assert site.upload.read_bytes() == b"picture"
    assert "match the backup" in oppman("restore", "--rehearse", *options).out


@pytest.mark.usefixtures("site")
def test_each_recipient_opens_backup(oppman: Oppman, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = x25519.Identity.generate()
    monkeypatch.setenv("BACKUP_RECIPIENT", f"{KEY.to_public()}, {other.to_public()}")
    oppman("backup")
    sealed = only_backup(folder).read_bytes()
    assert decrypt(sealed, [KEY]) == decrypt(sealed, [other])


@pytest.mark.usefixtures("site")
def test_recipient_wins_over_passphrase(oppman: Oppman, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    oppman("backup")
    assert decrypt(only_backup(folder).read_bytes(), [KEY]).startswith(b"PK")


@pytest.mark.usefixtures("site")
def test_older_backup_with_passphrase_restores(oppman: Oppman, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKUP_RECIPIENT")
    monkeypatch.setenv("BACKUP_PASSPHRASE", "correct horse")
    oppman("backup")
    monkeypatch.setenv("BACKUP_RECIPIENT", str(KEY.to_public()))
    assert "match the backup" in oppman("restore", "--rehearse", only_backup(folder).name).out


@pytest.mark.usefixtures("site", "folder")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(str(x25519.Identity.generate()), "It was encrypted to another public key: use", id="another key"),
        pytest.param("AGE-SECRET-KEY-1S3CR3T", "The file contains no private key: age's keys are", id="no key"),
        pytest.param("# nothing else", "The file contains no private key: age's keys are lines that", id="comment"),
        pytest.param(None, "key.txt cannot be read: No such file or directory.", id="no file"),
    ],
)
def test_wrong_identity_is_reported(oppman: Oppman, key_file: Path, content: str | None, message: str) -> None:
    oppman("backup")
    key_file.unlink()
    if content is not None:
        key_file.write_text(content)
    error = error_line(oppman, "restore", "--latest", "--no-input", "--identity", str(key_file))
    assert message in error
    assert "S3CR3T" not in error


@pytest.mark.usefixtures("site")
def test_missing_identity_is_reported(oppman: Oppman, folder: Path) -> None:
    oppman("backup")
    message = error_line(oppman, "restore", "--latest", "--no-input")
    assert message.startswith(f"{only_backup(folder).name} is encrypted to a public key: pass the file")


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("size", [30, 300, -20])
def test_cut_backup_is_reported(oppman: Oppman, folder: Path, key_file: Path, size: int) -> None:
    oppman("backup")
    path = only_backup(folder)
    path.write_bytes(path.read_bytes()[:size])
    error = error_line(oppman, "restore", path.name, "--no-input", "--identity", str(key_file))
    assert "It is damaged or truncated" in error


def test_invalid_recipient_is_refused(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_RECIPIENT", f"{KEY.to_public()},{KEY}")
    message = oppman("check").out
    assert "BACKUP_RECIPIENT: must be one or more public keys of age (age1…), separated by commas." in message
    assert str(KEY) not in message


@pytest.mark.usefixtures("site")
def test_error_of_the_bucket_is_reported(oppman: Oppman, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OperatorError("The bucket is full.")

    monkeypatch.setattr(store._HashingSink, "write", fail)
    assert error_line(oppman, "backup") == "The bucket is full.\n"
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize(("identity", "schedule"), [("", ""), (str(KEY), "30 4 * * 0")], ids=["without", "with"])
def test_only_a_site_with_private_key_rehearses(settings: Settings, folder: Path, identity: str, schedule: str) -> None:
    backups = BackupSettings(
        backup_url=SecretStr(f"file:{folder}"),
        backup_recipient=str(KEY.to_public()),
        backup_identity=SecretStr(identity),
    )
    assert rehearse_restore.schedule_in(settings.having(backups)) == schedule
