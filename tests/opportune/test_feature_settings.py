"""Settings of features: their sources and errors."""

from enum import Enum
from pathlib import Path

import pydantic_settings
import pytest
from pydantic import BaseModel, SecretStr, field_validator

from opportune.application import create_app
from opportune.config.base_settings import BaseSettings
from opportune.config.env_example import env_example
from opportune.config.secrets import open_secrets
from opportune.config.settings import Settings, load_settings, read_feature_settings
from opportune.errors import SettingsError
from opportune.feature import Feature
from opportune.project.modules import settings_class
from opportune.testing.plugin import settings_for


class BooksSettings(BaseSettings):
    books_per_page: int = 20
    """Books per page."""
    books_key: SecretStr = SecretStr("")
    books_shelves: tuple[str, ...] = ()

    @field_validator("books_per_page")
    @classmethod
    def _check_positive(cls, value: int) -> int:
        if value < 1:
            raise ValueError("must be 1 or more")
        return value


BOOKS = Feature("books", "Books.", settings=BooksSettings)


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")
    return tmp_path / ".env"


def test_feature_settings_come_from_environment_and_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("BOOKS_PER_PAGE=3\nBOOKS_KEY=sesame\nPORT=1\n")
    monkeypatch.setenv("BOOKS_PER_PAGE", "4")
    books = load_settings().of(BooksSettings)
    assert (books.books_per_page, books.books_key.get_secret_value()) == (4, "sesame")


def test_secret_sets_values(env_file: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    open_secrets.cache_clear()
    request.addfinalizer(open_secrets.cache_clear)
    names: list[str] = []

    class Secret:
        env_vars = {"BOOKS_KEY": "sesame", "PORT": 81}

        def __init__(self, _settings_class: object, name: str, _region: object) -> None:
            names.append(name)

    monkeypatch.setattr(pydantic_settings, "AWSSecretsManagerSettingsSource", Secret)
    env_file.write_text("SECRETS_FROM=aws:site\nPORT=1\n")
    settings = load_settings()
    assert (settings.port, settings.of(BooksSettings).books_key.get_secret_value()) == (81, "sesame")
    assert names == ["site"]


def test_feature_settings_are_replaced_in_tests() -> None:
    settings = settings_for("sqlite://", BooksSettings(books_per_page=7))
    assert settings.of(BooksSettings).books_per_page == 7
    assert settings.having(BooksSettings(books_per_page=8)).of(BooksSettings).books_per_page == 8


@pytest.mark.parametrize(("value", "message"), [("many", "Write a whole number."), ("0", "must be 1 or more")])
def test_invalid_feature_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    monkeypatch.setenv("BOOKS_PER_PAGE", value)
    with pytest.raises(SettingsError, match=f"^BOOKS_PER_PAGE: {message}$"):
        create_app(settings_for("sqlite:///unused.db"), [BOOKS])


def test_two_classes_with_one_variable_are_refused() -> None:
    class OtherSettings(BaseSettings):
        books_per_page: int = 1

    class PortSettings(BaseSettings):
        port: int = 1

    settings = settings_for("sqlite://")
    with pytest.raises(SettingsError, match=r"^BOOKS_PER_PAGE is a setting of books and of other: rename one.$"):
        read_feature_settings(settings, [BOOKS, Feature("other", settings=OtherSettings)])
    with pytest.raises(SettingsError, match=r"^PORT is a setting of the site and of port: rename one.$"):
        read_feature_settings(settings, [Feature("port", settings=PortSettings)])


def test_example_lists_feature_settings_last() -> None:
    text = env_example([Settings, BooksSettings])
    assert text.count("SITE_NAME=") == 1
    assert text.endswith("\n\n# Books per page.\n# BOOKS_PER_PAGE=20\n\n# BOOKS_KEY=\n\n# BOOKS_SHELVES=\n")


class Colour(Enum):
    RED = "red"


class Lock(BaseModel):
    key: SecretStr = SecretStr("sesame")


class ShelfSettings(BaseSettings):
    shelf_kind: str = "small"
    """Size of the shelf: small, one wall;
    large, a room."""
    shelf_label: str = 'the "best" # of\nall'
    shelf_width: str = " 1 "
    shelf_colour: Colour = Colour.RED
    shelf_rows: list[int] = [1, 2]
    shelf_names: dict[str, str] = {"a": 'the "best"'}
    shelf_seal: bytes = b"wax"
    shelf_keys: list[SecretStr] = [SecretStr("sesame")]
    shelf_locks: Lock = Lock()


def test_example_comments_descriptions_and_quotes_defaults(tmp_path: Path) -> None:
    text = env_example([ShelfSettings])
    assert "\n# Size of the shelf: small, one wall;\n# large, a room.\n# SHELF_KIND=small\n" in text
    assert "SHELF_SEAL=wax\n" in text
    assert "SHELF_KEYS=\n" in text
    assert "SHELF_LOCKS=\n" in text
    (tmp_path / ".env").write_text(text.replace("# SHELF_", "SHELF_"))
    assert ShelfSettings(_env_file=tmp_path / ".env") == ShelfSettings(_env_file=None)
