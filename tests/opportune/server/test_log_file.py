"""Log file of development."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.contrib.agents.log_entries import is_error, read_entries
from opportune.schemas.masks import mask_pairs
from opportune.server import log_file
from opportune.server.log_formats import LineFormatter, MaskedFormatter
from opportune.server.logging import RequestIdFilter, logging_config
from opportune.testing.plugin import settings_for

PASSWORD = "opensesame"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the log file, which does not exist yet."""
    monkeypatch.setattr(log_file, "PATH", tmp_path / "data/development.log")
    return tmp_path / "data"


@pytest.fixture
def logger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """A logger that writes to a stream and to the log file, which is full after 10,000 bytes."""
    monkeypatch.setattr(log_file, "MAX_FILE_BYTES", 10_000)
    logger = logging.Logger(folder.name)
    handlers = {logging.StreamHandler(): LineFormatter, log_file.open_log_file(): MaskedFormatter}
    for handler, formatter in handlers.items():
        handler.setFormatter(formatter())
        handler.addFilter(RequestIdFilter())
        logger.addHandler(handler)
    yield logger
    for handler in handlers:
        handler.close()


def fail(password: str, number: int) -> None:
    raise ValueError(f"cannot use {number}, password={password}")


def log_error(logger: logging.Logger) -> None:
    try:
        fail(PASSWORD, 7)
    except ValueError:
        logger.exception("unhandled error")


def test_error_has_its_frames_and_variables(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log_error(logger)
    assert "Variables" not in capsys.readouterr().err, "other handlers print none"
    (entry,) = read_entries()
    assert is_error(entry)
    assert "test_log_file.py" in entry
    assert "Variables in fail:" in entry
    assert "    number = 7" in entry


READABLE = (
    "ForeignKeyViolation: insert or update on table",
    '  File "/srv/x.py", line 14, in show\n    with Session() as session:\n  File "/srv/y.py", line 2, in find\n'
    "    sorted(rows, key=lambda row: row.id)",
    "author: Ada, keyword: x, monkey: y",
    "Bearer token is missing",
)
SECRETS = (
    "OPPORTUNE_PRODUCTION_EXTERNAL_PAYMENT_PROVIDER_API_KEY=opensesame",
    f"postgresql://iam:{PASSWORD * 30}@h",
    "Authorization: Bearer opensesame was refused",
    "x-api-key: opensesame",
    "apiKey=opensesame",
    "sessionid=opensesame",
    "db_pass: opensesame",
    r"'\npass: opensesame'",
    '  File "/srv/x.py", line 14, in show\n    connect(password="opensesame")',
    '  File "/srv/x.py", line 14, in show\n    connect()\nValueError: password=opensesame',
)


@pytest.mark.parametrize("text", READABLE)
def test_words_of_tracebacks_stay_readable(text: str) -> None:
    assert mask_pairs(text) == text


@pytest.mark.parametrize("text", SECRETS)
def test_secret_in_a_text_is_masked(text: str) -> None:
    assert PASSWORD not in mask_pairs(text)


def test_secrets_are_masked(logger: logging.Logger, folder: Path) -> None:
    log_error(logger)
    logger.warning("signed in with token=%s", PASSWORD, exc_info=True)
    text = (folder / "development.log").read_text()
    assert PASSWORD not in text
    assert "signed in" in text
    assert text.count("••••••") > 2


def test_only_the_newest_entries_are_stored(logger: logging.Logger, folder: Path) -> None:
    for number in range(1000):
        logger.warning("message %d", number)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000
    entries = read_entries()
    assert "message 999" in entries[-1]
    assert len(entries) > 100


def test_other_users_cannot_read_the_files(logger: logging.Logger, folder: Path) -> None:
    for _ in range(500):
        logger.warning("message")
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()}
    assert modes == {"development.log": 0, "development.log.1": 0}


@pytest.mark.parametrize(
    ("environment", "handlers"), [("development", ["stderr", "file"]), ("production", ["stderr"]), ("test", ["stderr"])]
)
def test_only_development_writes_the_file(environment: str, handlers: list[str]) -> None:
    config = logging_config(settings_for("sqlite:///nowhere.db").model_copy(update={"environment": environment}))
    assert config["root"]["handlers"] == handlers


def test_missing_folder_disables_the_file(folder: Path) -> None:
    folder.touch()
    assert isinstance(log_file.open_log_file(), logging.NullHandler)


def test_unwritable_file_is_ignored(logger: logging.Logger, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.rename(folder.with_name("old"))
    log_error(logger)
    assert "Logging error" not in capsys.readouterr().err
