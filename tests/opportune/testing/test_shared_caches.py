"""Caches that all sites of a test run share."""

from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from sqlalchemy.dialects.postgresql.base import PGDialect

from opportune.db.factory import open_database
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres


@pytest.mark.database("postgresql")
async def test_server_version_is_read_once(
    postgres_server: Postgres, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(url: str) -> None:
        database = open_database(settings_for(url))
        async with database.engine.connect():
            pass
        await database.dispose()

    def fail(*_: Any) -> None:
        raise AssertionError("The version is read again.")

    await connect(postgres_server.url("postgres"))
    monkeypatch.setattr(PGDialect, "_get_server_version_info", fail)
    await connect(empty_database_url)


@pytest.mark.parametrize(
    ("options", "rendered"),
    [
        ({"autoescape": True}, "\n&lt;a&gt;"),
        ({"autoescape": lambda name: name == "row.html"}, "\n&lt;a&gt;"),
        ({"autoescape": lambda name: name != "row.html"}, "\n<a>"),
        ({"trim_blocks": True}, "<a>"),
    ],
)
def test_compiled_templates_belong_to_their_environment(options: dict[str, Any], rendered: str) -> None:
    texts = DictLoader({"row.html": "{% if True %}\n{{ row }}{% endif %}"})
    for value, expected in [({}, "\n<a>"), (options, rendered)]:
        environment = Environment(loader=texts, **value)  # noqa: S701 - nothing is shown
        assert environment.get_template("row.html").render(row="<a>") == expected
