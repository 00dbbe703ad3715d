"""The settings that a feature brings along: where they come from, and what is said of wrong ones."""

from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr, field_validator

from opportune.application import create_app
from opportune.config.base_settings import BaseSettings
from opportune.config.env_example import env_example
from opportune.config.project import settings_class
from opportune.config.secrets import aws
from opportune.config.settings import Settings, load_settings, read_feature_settings
from opportune.errors import OperatorError, SettingsError
from opportune.feature import Feature
from opportune.testing.plugin import settings_for


class BooksSettings(BaseSettings):
    books_per_page: int = 20
    """How many books a page shows."""
    books_key: SecretStr = SecretStr("")
    books_shelves: tuple[str, ...] = ()

    @field_validator("books_per_page")
    @classmethod
    def _is_some(cls, value: int) -> int:
        if value < 1:
            raise ValueError("must be 1 or more")
        return value


BOOKS = Feature(name="books", summary="Books.", settings=BooksSettings)


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")
    return tmp_path / ".env"


def test_they_come_from_the_environment_and_then_from_the_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("BOOKS_PER_PAGE=3\nBOOKS_KEY=sesame\nPORT=1\n")
    monkeypatch.setenv("BOOKS_PER_PAGE", "4")
    books = load_settings().of(BooksSettings)
    assert (books.books_per_page, books.books_key.get_secret_value()) == (4, "sesame")


def test_they_come_from_a_secret_that_holds_nothing_else(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    aws.read_secret.cache_clear()
    request.addfinalizer(aws.read_secret.cache_clear)
    asked: list[str] = []

    def fetch(name: str) -> str:
        asked.append(name)
        return '{"BOOKS_KEY": "sesame", "PORT": 81}'

    monkeypatch.setattr(aws, "_fetch", fetch)
    env_file.write_text("SECRETS_FROM=aws:site\nPORT=1\n")
    settings = load_settings()
    assert (settings.port, settings.of(BooksSettings).books_key.get_secret_value()) == (81, "sesame")
    assert asked == ["site"]


def test_they_are_read_once(env_file: Path) -> None:
    env_file.write_text("BOOKS_PER_PAGE=3\n")
    settings = load_settings()
    first = settings.of(BooksSettings)
    env_file.write_text("BOOKS_PER_PAGE=4\n")
    assert settings.of(BooksSettings) is first


def test_the_site_s_own_are_found_by_their_class_too() -> None:
    settings = settings_for("sqlite://")
    assert settings.of(Settings) is settings


def test_a_test_gives_them() -> None:
    settings = settings_for("sqlite://", BooksSettings(books_per_page=7))
    assert settings.of(BooksSettings).books_per_page == 7
    assert settings.having(BooksSettings(books_per_page=8)).of(BooksSettings).books_per_page == 8


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BOOKS_PER_PAGE", "many", "BOOKS_PER_PAGE: Write a whole number."),
        ("BOOKS_PER_PAGE", "0", "BOOKS_PER_PAGE: must be 1 or more"),
    ],
)
def test_a_wrong_one_is_one_line_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        create_app(settings_for("sqlite:///unused.db"), [BOOKS])
    assert str(caught.value) == words


def test_one_that_has_no_default_is_asked_for_at_the_start(env_file: Path) -> None:
    class ShopSettings(BaseSettings):
        shop_key: SecretStr

    shop = Feature(name="shop", summary="A shop.", settings=ShopSettings)
    with pytest.raises(SettingsError, match=r"^SHOP_KEY has no value\."):
        create_app(settings_for("sqlite:///unused.db"), [shop])


def test_two_who_read_one_variable_are_told() -> None:
    class OtherSettings(BaseSettings):
        books_per_page: int = 1

    class PortSettings(BaseSettings):
        port: int = 1

    other = Feature(name="other", summary="", settings=OtherSettings)
    port = Feature(name="port", summary="", settings=PortSettings)
    settings = settings_for("sqlite://")
    with pytest.raises(SettingsError, match=r"^BOOKS_PER_PAGE is a setting of books and of other: rename one.$"):
        read_feature_settings(settings, [BOOKS, other])
    with pytest.raises(SettingsError, match=r"^PORT is a setting of the site and of port: rename one.$"):
        read_feature_settings(settings, [port])


def test_the_example_has_them_after_the_sites_with_their_words() -> None:
    text = env_example([Settings, BooksSettings])
    assert text.count("SECRETS_FROM=") == 1
    assert text.endswith(
        "\n\n# How many books a page shows.\n# BOOKS_PER_PAGE=20\n\n# BOOKS_KEY=\n\n# BOOKS_SHELVES=\n"
    )


class ShelfSettings(BaseSettings):
    shelf_kind: str = "small"
    """Where books stand: small, one wall;
    large, a room."""
    shelf_label: str = 'the "best" # of\nall'
    shelf_width: str = " 1 "


def test_example_comments_every_line_of_a_description() -> None:
    text = env_example([ShelfSettings])
    assert "\n# Where books stand: small, one wall;\n# large, a room.\n# SHELF_KIND=small\n" in text


def test_example_gives_back_defaults_with_quotes_and_line_ends() -> None:
    text = env_example([ShelfSettings]).replace("# SHELF_", "SHELF_")
    values = dotenv_values(stream=StringIO(text))
    assert {name.lower(): values[name] for name in values} == {
        name: field.default for name, field in ShelfSettings.model_fields.items() if name.startswith("shelf")
    }


def test_example_has_a_heading_for_settings_of_the_project() -> None:
    class SiteSettings(Settings):
        shelf_key: SecretStr = SecretStr("")

    text = env_example([SiteSettings, ShelfSettings])
    assert "\n# ===== Settings of this project =====\n\n# SHELF_KEY=\n" in text
    assert "\n# ===== Settings of tests =====\n\n# Where books stand" in text


def test_a_class_that_drops_settings_of_the_framework_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dropping(BaseSettings):
        site_name: str = "Shelf"

    monkeypatch.setattr("opportune.config.settings.settings_class", lambda: Dropping)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    first = ", ".join(map(str.upper, sorted(Settings.model_fields.keys() - Dropping.model_fields.keys())[:3]))
    assert str(caught.value).startswith(f"app/settings.py: Settings lacks {first} and ")
    assert str(caught.value).endswith(" more. Begin it with class Settings(opportune.config.Settings):")


def test_a_project_without_its_class_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("app.settings.Settings")
    with pytest.raises(OperatorError, match=r"^app/settings\.py has no class Settings"):
        load_settings()
