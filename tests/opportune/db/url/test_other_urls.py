"""URLs without a pooler, URLs of replicas, and the URLs in docs/databases.md."""

import re

import pytest
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import DIRECT_URL_VARIABLES, direct_url
from opportune.db.url.replicas import parse_replicas
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.guides import read_guide

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


def test_direct_url_is_preferred(settings: Settings) -> None:
    url = direct_url(with_direct_url(settings, DIRECT))
    assert (url.name, url.url.host, url.pooled) == ("DATABASE_DIRECT_URL", "ep-x.aws.neon.tech", False)


@pytest.mark.parametrize("name", DIRECT_URL_VARIABLES)
def test_host_variable_is_used(name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, DIRECT)
    assert direct_url(settings).url.host == "ep-x.aws.neon.tech"
    assert direct_url(with_direct_url(settings, "postgresql://u:pw@127.0.0.1/site")).url.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("database", "other"),
    [
        (POOLED, "postgresql://u:pw@ep-x.aws.neon.tech/shop"),
        (POOLED, "postgresql://u:other@ep-x.aws.neon.tech/site"),
        (POOLED, "mysql://u:pw@h/site"),
        ("sqlite:///data/app.db", DIRECT),
        ("postgresql://localhost/site", DIRECT),
    ],
)
def test_variable_of_another_database_is_ignored(other: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRECT_URL", other)
    assert direct_url(settings_for(database)).name == "DATABASE_URL"


A, B = "postgres://u:p@a/d?sslmode=require", "postgres://u:p@b/d"


def parse(text: str) -> list[tuple[str, int]]:
    return [(replica.url.server, replica.weight) for replica in parse_replicas(text)]


@pytest.mark.parametrize("separator", [", ", "\n"])
def test_urls_are_separated(separator: str) -> None:
    assert parse(f"{A}{separator}{B}") == [("a:5432", 1), ("b:5432", 1)]


@pytest.mark.parametrize("url", [f"{B}?weight=2", f"{A}&weight=2", f"{B}?weight=2&sslmode=require"])
def test_weight_is_removed_from_the_url(url: str) -> None:
    (replica,) = parse_replicas(url)
    assert replica.weight == 2
    assert "weight" not in replica.url.url.query


@pytest.mark.parametrize("weight", ["0", "101", "half"])
def test_invalid_weight_is_refused(weight: str) -> None:
    with pytest.raises(OperatorError, match="DATABASE_READER_URL has an invalid weight"):
        parse_replicas(f"{B}?weight={weight}")


ROWS = re.findall(r"^\| ([^|]+) \| `([^`|]+)` \| `([^`|]+)` \| (yes|no) \|$", read_guide("databases.md"), re.MULTILINE)


def test_table_matches_parsed_urls() -> None:
    for provider, pasted, parsed, pooler in ROWS:
        url = DatabaseUrl.parse(pasted)
        assert (url.provider or "your own", url.redacted, url.pooled) == (provider, parsed, pooler == "yes"), provider
