"""The settings table shows no secrets."""

from typing import Any

import pytest
from pydantic import SecretStr

from opportune.admin.settings_table import list_displayed_settings
from opportune.config import BaseSettings, Settings
from opportune.feature import Feature
from opportune.testing.plugin import settings_for

CANARY_TEXT = "c4n4ry-of-a-secret"
PROVIDERS = ("github", "google", "microsoft", "oidc")
SECRET_VALUES = {
    "secret_key": f"{CANARY_TEXT}-of-32-characters-or-even-more",
    "secret_key_fallbacks": f"{CANARY_TEXT}-older-of-32-characters-or-more",
    "llm_api_key": CANARY_TEXT,
    **{f"{name}_client_secret": CANARY_TEXT for name in PROVIDERS},
    "mail_url": f"smtp://user:{CANARY_TEXT}@mail.example:587",
    "storage_url": f"s3://key:{CANARY_TEXT}@s3.example/bucket",
    "cache_url": f"redis://:{CANARY_TEXT}@cache.example:6379/0",
    "database_url": f"postgresql://user:{CANARY_TEXT}@db.example/site?sslpassword={CANARY_TEXT}",
    "database_reader_url": f"postgresql://user:{CANARY_TEXT}@reader.example/site",
    "database_direct_url": f"postgresql://user:{CANARY_TEXT}@direct.example/site",
    "llm_base_url": f"https://user:{CANARY_TEXT}@llm.example/v1?key={CANARY_TEXT}",
}


def test_all_settings_are_shown_without_secrets() -> None:
    values: dict[str, Any] = {name: SecretStr(value) for name, value in SECRET_VALUES.items()}
    values["llm_base_url"] = SECRET_VALUES["llm_base_url"]
    values |= {f"{name}_client_id": "public" for name in PROVIDERS} | {"oidc_url": "https://id.example"}
    rows = {row.name: row for row in list_displayed_settings(Settings(_env_file=None, environment="test", **values))}
    assert rows.keys() == {name.upper() for name in Settings.model_fields}
    assert CANARY_TEXT not in str(rows)
    assert (rows["SECRET_KEY"].value, rows["SECRET_KEY"].is_secret) == ("set", True)
    assert rows["MAIL_URL"].value == "mail.example:587"
    assert rows["LLM_BASE_URL"].value == "https://llm.example/v1"
    assert "db.example" in rows["DATABASE_URL"].value
    assert (rows["SECRETS_FROM"].value, rows["SECRETS_FROM"].source) == ("", "default")


def test_settings_of_features_are_shown() -> None:
    class BooksSettings(BaseSettings):
        books_key: SecretStr = SecretStr("")
        books_per_page: int = 20

    settings = settings_for("sqlite://", BooksSettings(books_key=SecretStr(CANARY_TEXT)))
    books = Feature("books", settings=BooksSettings)
    rows = {row.name: row for row in list_displayed_settings(settings, [books])}
    assert (rows["BOOKS_KEY"].value, rows["BOOKS_KEY"].is_secret) == ("set", True)
    assert (rows["BOOKS_PER_PAGE"].value, rows["BOOKS_PER_PAGE"].source) == ("20", "default")
    assert [name for name in rows if name.startswith("BOOKS_")] == ["BOOKS_KEY", "BOOKS_PER_PAGE"]
    assert CANARY_TEXT not in str(rows)


def test_all_secret_settings_have_a_canary() -> None:
    secret = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert secret <= SECRET_VALUES.keys()


@pytest.mark.parametrize(
    "url", [f"oracle://u:{CANARY_TEXT}@host/x", f"{CANARY_TEXT}", f"postgresql://u:{CANARY_TEXT}@[/x"]
)
def test_invalid_address_is_not_shown(url: str) -> None:
    settings = Settings(_env_file=None, environment="test", database_url=SecretStr(url))
    assert CANARY_TEXT not in str(list(list_displayed_settings(settings)))
