"""Generation, uniqueness and history of slugs."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.fields import find_moved, slugify
from tests.opportune.fields.samples_feature import Follower, Sample


async def read_slugs(app: FastAPI, model: type[Sample] | type[Follower] = Sample) -> list[str]:
    async with app.state.database.reader() as session:
        return list(await session.scalars(select(col(model.slug)).order_by(col(model.id))))


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Çay & Python 3.14", "cay-python-3-14"),
        ("日本", ""),
        ("Straße, STRAẞE", "strasse-strasse"),
        ("Ærø, Œuvre, Þór, Đà, Ħal, \u0131ş\u0131k, Łódź, Ŋ, Ŧ, ð", "aero-oeuvre-thor-da-hal-isik-lodz-n-t-d"),
        ("x" * 90, "x" * 80),
    ],
)
def test_text_is_converted_to_a_slug(text: str, slug: str) -> None:
    assert slugify(text) == slug


async def test_empty_slug_is_made_unique_from_the_title(app: FastAPI) -> None:
    long_name = "A title that is longer than thirty"
    async with app.state.database.writer() as session:
        session.add(Sample(title="One Book"))
    async with app.state.database.writer() as session:
        session.add_all(
            Sample(title=title)
            for title in ("One book", "One, book!", long_name, long_name, "日本", "One book at last")
        )
        session.add(Sample(title="One book", slug="my-own"))
    assert await read_slugs(app) == [
        "one-book",
        "one-book-2",
        "one-book-3",
        "a-title-that-is-longer-than-th",
        "a-title-that-is-longer-t-2",
        "sample",
        "one-book-at-last",
        "my-own",
    ]


async def test_reserved_slug_gets_a_number(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Sample(title="New"), Sample(title="Mine", slug="new")])
    assert await read_slugs(app) == ["new-2", "new-3"]


async def test_slug_stays_until_it_is_cleared(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add(Sample(title="One"))
    async with app.state.database.writer() as session:
        row = (await session.scalars(select(Sample))).one()
        row.title = "Two"
    assert await read_slugs(app) == ["one"]
    async with app.state.database.writer() as session:
        row = (await session.scalars(select(Sample))).one()
        row.slug = ""
    assert await read_slugs(app) == ["two"]


@pytest.mark.database("sqlite", "postgresql")
async def test_old_slug_finds_the_row(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Follower(name="One"), Follower(name="Other")])
    for name in ("Two", "Three", "Two"):
        async with app.state.database.writer() as session:
            (await session.get_one(Follower, 1)).name = name
    async with app.state.database.reader() as session:
        assert (await session.get_one(Follower, 1)).old_slugs == ["one", "three"]
        moved_rows = [await find_moved(session, Follower, slug) for slug in ("one", "three", "two", "on", "%", '"')]
        assert await find_moved(session, Sample, "one") is None
    assert [row and row.id for row in moved_rows] == [1, 1, None, None, None, None]
