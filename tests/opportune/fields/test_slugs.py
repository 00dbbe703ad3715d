"""Generation, uniqueness and history of slugs."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.fields import find_moved, slugify
from tests.opportune.fields.samples_feature import Follower, Sample
from tests.opportune.stored_rows import add_rows, change_row, get_row, read_all

SLUGS = {
    "Çay & Python 3.14": "cay-python-3-14",
    "日本": "",
    "Straße, STRAẞE": "strasse-strasse",
    "Ærø, Œuvre, Þór, Đà, Ħal, \u0131ş\u0131k, Łódź, Ŋ, Ŧ, ð": "aero-oeuvre-thor-da-hal-isik-lodz-n-t-d",
    "x" * 90: "x" * 80,
}


async def read_slugs(app: FastAPI) -> list[str]:
    return await read_all(app, select(col(Sample.slug)).order_by(col(Sample.id)))


@pytest.mark.parametrize("text", SLUGS)
def test_text_is_converted_to_a_slug(text: str) -> None:
    assert slugify(text) == SLUGS[text]


async def test_empty_slug_is_made_unique_from_the_title(app: FastAPI) -> None:
    long_name = "A title that is longer than thirty"
    await add_rows(app, Sample(title="One Book"))
    titles = ("One book", "One, book!", long_name, long_name, "日本", "One book at last")
    await add_rows(app, *(Sample(title=title) for title in titles), Sample(title="One book", slug="my-own"))
    slugs = "one-book one-book-2 one-book-3 a-title-that-is-longer-than-th a-title-that-is-longer-t-2"
    assert await read_slugs(app) == [*slugs.split(), "sample", "one-book-at-last", "my-own"]


async def test_reserved_slug_gets_a_number(app: FastAPI) -> None:
    await add_rows(app, Sample(title="New"), Sample(title="Mine", slug="new"))
    assert await read_slugs(app) == ["new-2", "new-3"]


async def test_slug_stays_until_it_is_cleared(app: FastAPI) -> None:
    await add_rows(app, Sample(title="One"))
    await change_row(app, Sample, title="Two")
    assert await read_slugs(app) == ["one"]
    await change_row(app, Sample, slug="")
    assert await read_slugs(app) == ["two"]


@pytest.mark.database("sqlite", "postgresql")
async def test_old_slug_finds_the_row(app: FastAPI) -> None:
    await add_rows(app, Follower(name="One"), Follower(name="Other"))
    for name in ("Two", "Three", "Two"):
        await change_row(app, Follower, name=name)
    assert (await get_row(app, Follower)).old_slugs == ["one", "three"]
    async with app.state.database.reader() as session:
        moved_rows = [await find_moved(session, Follower, slug) for slug in ("one", "three", "two", "on", "%", '"')]
        assert await find_moved(session, Sample, "one") is None
    assert [row and row.id for row in moved_rows] == [1, 1, None, None, None, None]
