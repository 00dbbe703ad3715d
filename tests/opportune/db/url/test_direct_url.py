"""Choice of the URL that migrations connect to."""

import pytest
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.db.url.direct import DIRECT_URL_VARIABLES, direct_url
from opportune.testing.plugin import settings_for

POOLED = "postgresql://u:pw@ep-x-pooler.aws.neon.tech/site?sslmode=require"
DIRECT = "postgresql://u:pw@ep-x.aws.neon.tech/site?sslmode=require"


@pytest.fixture
def settings() -> Settings:
    return settings_for(POOLED)


@pytest.fixture(autouse=True)
def _no_host_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DIRECT_URL_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def with_direct_url(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_direct_url": SecretStr(url)})


def test_database_url_is_the_default(settings: Settings) -> None:
    url = direct_url(settings)
    assert (url.name, url.url.host) == ("DATABASE_URL", "ep-x-pooler.aws.neon.tech")


def test_direct_url_is_preferred(settings: Settings) -> None:
    url = direct_url(with_direct_url(settings, DIRECT))
    assert (url.name, url.url.host, url.pooled) == ("DATABASE_DIRECT_URL", "ep-x.aws.neon.tech", False)


@pytest.mark.parametrize("name", DIRECT_URL_VARIABLES)
def test_host_variable_is_used(name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, DIRECT)
    assert direct_url(settings).url.host == "ep-x.aws.neon.tech"
    direct = with_direct_url(settings, "postgresql://u:pw@127.0.0.1/site")
    assert direct_url(direct).url.host == "127.0.0.1"


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://u:pw@ep-x.aws.neon.tech/shop",
        "postgresql://u:other@ep-x.aws.neon.tech/site",
        "mysql://u:pw@h/site",
        "",
    ],
)
@pytest.mark.parametrize("database", [POOLED, "sqlite:///data/app.db", "postgresql://localhost/site"])
def test_variable_of_another_database_is_ignored(other: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRECT_URL", other)
    assert direct_url(settings_for(database)).name == "DATABASE_URL"
