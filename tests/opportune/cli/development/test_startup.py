"""Checks before the start of a server: schema, folders and database URLs."""

from pathlib import Path

import pytest

from opportune.cli.development import startup
from opportune.config.settings import Settings
from opportune.db.migrations.connection import connect
from opportune.db.migrations.history import VERSION_TABLE
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for


def test_newer_database_is_reported(settings: Settings) -> None:
    with connect(settings) as connection:
        connection.execute(VERSION_TABLE.insert().values(version_num="accounts_0099_beef"))
        connection.commit()
    (line,) = startup.inspect_schema(settings).faults
    assert "accounts_0099_beef" in line


def test_unreachable_database_is_reported_after_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "RETRY_TIMEOUT_SECONDS", 0.1)
    settings = settings_for("postgresql://user:opensesame@127.0.0.1:1/name")
    with pytest.raises(OperatorError, match=r"No server responds at 127\.0\.0\.1:1") as caught:
        startup.inspect_schema(settings.model_copy(update={"environment": "production"}))
    assert "opensesame" not in str(caught.value)


def test_only_an_ephemeral_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = settings_for(f"sqlite:///{tmp_path}/app.db")
    assert startup.data_loss_warning(file) is None
    monkeypatch.setenv("RENDER", "something")
    assert "deletes all data" in str(startup.data_loss_warning(file))
    monkeypatch.delenv("RENDER")
    monkeypatch.setenv("FLY_APP_NAME", "site")
    assert startup.data_loss_warning(settings_for("postgresql://user@host/name")) is None
    if Path("/dev/shm").is_dir():  # noqa: S108 - a mounted folder, like a volume
        assert startup.data_loss_warning(settings_for("sqlite:////dev/shm/app.db")) is None
