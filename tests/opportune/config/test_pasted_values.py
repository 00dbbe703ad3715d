"""Settings as users paste them: with quotes and blanks around them, or empty."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from opportune.config.base_settings import BaseSettings, read_class, setting_names
from opportune.config.database_variables import unused_database_notice
from opportune.config.hosts import HOST_VARIABLES
from opportune.config.pasted_values import clean_quoted_values
from opportune.config.settings import Settings

TEXT_SETTINGS = {"SITE_NAME", "TIME_ZONE", "LANGUAGE"}
"""Texts that may not be empty."""


class ShelfSettings(BaseSettings):
    books_per_page: int = 20
    shelf_key: SecretStr = SecretStr("")
    shelf_title: str = "Shelf"
    shelf_sizes: list[int] = [1]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*HOST_VARIABLES, *setting_names()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(ShelfSettings.model_config, "env_file", tmp_path / ".env")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"abc"', "abc"),
        ("'a\"b'", 'a"b'),
        ('"abc" \r\n', "abc"),
        ('"Best" books', '"Best" books'),
        ("it's", "it's"),
        ("a # b", "a # b"),
    ],
)
def test_quotes_and_blanks_around_texts_are_removed(value: str, expected: str) -> None:
    assert clean_quoted_values({"shelf_title": value}, ShelfSettings.model_fields) == {"shelf_title": expected}


@pytest.mark.parametrize("value", ['"bearer  abc "', "Authorization: Bearer abc\r"])
def test_key_is_read_without_its_scheme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    monkeypatch.setenv("SHELF_KEY", value)
    assert read_class(ShelfSettings).shelf_key.get_secret_value() == "abc"
    monkeypatch.delenv("SHELF_KEY")
    (tmp_path / ".env").write_text(f"SHELF_KEY={value}\n")
    assert read_class(ShelfSettings).shelf_key.get_secret_value() == "abc"


def test_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SHELF_SIZES=\nBOOKS_PER_PAGE=\n")
    monkeypatch.setenv("BOOKS_PER_PAGE", '""')
    settings = read_class(ShelfSettings)
    assert (settings.books_per_page, settings.shelf_sizes) == (20, [1])


def test_every_setting_may_be_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {name.upper() for name in Settings.model_fields} - TEXT_SETTINGS
    for name in names:
        monkeypatch.setenv(name, " ")
    settings = Settings(_env_file=None)
    assert (settings.port, settings.debug, settings.allowed_hosts) == (8000, False, [])


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"POSTGRES_HOST": "db", "POSTGRES_USER": "u", "POSTGRES_PASSWORD": "secret", "POSTGRES_DB": "d"},
         "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:5432/${POSTGRES_DB}"),
        ({"PGHOST": "db", "PGPORT": "6432", "PGDATABASE": "d"},
         "postgresql://postgres:PASSWORD@${PGHOST}:${PGPORT}/${PGDATABASE}"),
        ({"POSTGRES_URL": "postgres://u:secret@h/d"}, "${POSTGRES_URL}"),
    ],
)  # fmt: skip
def test_variables_of_a_database_are_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], url: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    notice = unused_database_notice(Settings(_env_file=None)) or ""
    assert notice.endswith(f"DATABASE_URL={url}")
    assert "secret" not in notice
    file = tmp_path / ".env"
    file.write_text(f"DATABASE_URL={url}\n")
    settings = Settings(_env_file=file)
    assert "$" not in settings.database_url.get_secret_value()
    assert unused_database_notice(settings) is None
