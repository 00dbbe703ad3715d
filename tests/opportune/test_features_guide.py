"""The examples of docs/features.md, run as they stand there."""

import re

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from opportune.application import create_app
from opportune.errors import SettingsError
from opportune.feature import Feature
from opportune.project import PROJECT
from opportune.testing.plugin import settings_for

GUIDE = (PROJECT / "docs/features.md").read_text(encoding="utf-8")


@pytest.fixture
def names() -> dict[str, object]:
    found: dict[str, object] = {}
    for code in re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE):
        exec(code, found)  # noqa: S102 - the guide's own
    return found


def books(names: dict[str, object]) -> Feature:
    return Feature(name="books", summary="", settings=names["BooksSettings"], api=names["router"])  # type: ignore[arg-type]


async def test_a_route_has_the_settings_that_it_asks_for(
    names: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKS_PER_PAGE", "7")
    app: FastAPI = create_app(settings_for("sqlite:///unused.db"), [books(names)])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        assert (await client.get("/api/v1/books/limits")).json() == {"per page": 7}


def test_a_wrong_one_is_refused_at_the_start(names: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKS_PER_PAGE", "0")
    with pytest.raises(SettingsError, match=r"^BOOKS_PER_PAGE: "):
        create_app(settings_for("sqlite:///unused.db"), [books(names)])


def test_what_a_feature_can_put_on_others_pages_is_in_the_guide() -> None:
    hooks = {name for name in Feature.__dataclass_fields__ if name.endswith(("_panel", "_card", "_columns"))}
    assert {name for name in hooks if f"`{name}=" not in GUIDE} == set()
