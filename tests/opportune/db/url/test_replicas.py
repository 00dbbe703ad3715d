"""URLs of several replicas in one setting."""

import pytest

from opportune.db.url.replicas import parse_replicas
from opportune.errors import OperatorError

A, B = "postgres://u:p@a/d?sslmode=require", "postgres://u:p@b/d"


def parse(text: str) -> list[tuple[str, int]]:
    return [(replica.url.server, replica.weight) for replica in parse_replicas(text)]


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
def test_urls_are_separated(separator: str) -> None:
    assert parse(f"{A}{separator}{B}") == [("a:5432", 1), ("b:5432", 1)]


@pytest.mark.parametrize("text", [A, f"psql {A}", f"psql '{A}'", f"DATABASE_READER_URL={A}"])
def test_single_url_is_accepted_as_before(text: str) -> None:
    assert parse(text) == [("a:5432", 1)]


def test_several_hosts_are_one_replica() -> None:
    assert parse("postgres://u:p@a:1,b:2/d") == [("a:1, b:2", 1)]


def test_empty_setting_has_no_replicas() -> None:
    assert parse("  ") == []


@pytest.mark.parametrize("url", [f"{B}?weight=2", f"{A}&weight=2", f"{B}?weight=2&sslmode=require"])
def test_weight_is_removed_from_the_url(url: str) -> None:
    (replica,) = parse_replicas(url)
    assert replica.weight == 2
    assert "weight" not in replica.url.url.query


@pytest.mark.parametrize("weight", ["0", "101", "-1", "half", ""])
def test_invalid_weight_is_refused(weight: str) -> None:
    with pytest.raises(OperatorError, match="DATABASE_READER_URL has an invalid weight"):
        parse_replicas(f"{B}?weight={weight}")
