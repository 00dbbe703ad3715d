"""Slugs are made of another field, one for each row, and stay."""

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import Field, col

from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.fields import Slug, find_moved, slug_field, slugify
from tests.opportune.fields.samples_feature import Follower, Sample


async def slugs(app: FastAPI, model: type[Sample] | type[Follower] = Sample) -> list[str]:
    async with app.state.database.reader() as session:
        return list(await session.scalars(select(col(model.slug)).order_by(col(model.id))))


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Çay & Python 3.14", "cay-python-3-14"),
        ("  a--b ", "a-b"),
        ("日本", ""),
        ("x" * 90, "x" * 80),
        ("a " * 90, ("a-" * 40).strip("-")),
    ],
)
def test_a_title_becomes_a_part_of_an_address(text: str, slug: str) -> None:
    assert slugify(text) == slug


async def test_an_empty_slug_is_made_of_the_title_with_a_number_where_it_is_taken(app: FastAPI) -> None:
    long = "A title that is longer than thirty"
    async with app.state.database.writer() as session:
        session.add(Sample(title="One Book"))
    async with app.state.database.writer() as session:
        session.add_all(
            Sample(title=title) for title in ("One book", "One, book!", long, long, "日本", "One book at last")
        )
        session.add(Sample(title="One book", slug="my-own"))
    assert await slugs(app) == [
        "one-book",
        "one-book-2",
        "one-book-3",
        "a-title-that-is-longer-than-th",
        "a-title-that-is-longer-t-2",
        "sample",
        "one-book-at-last",
        "my-own",
    ]


@pytest.mark.database("sqlite")
async def test_it_is_never_the_address_of_the_form_of_a_new_row(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Sample(title="New"), Sample(title="Mine", slug="new")])
    assert await slugs(app) == ["new-2", "new-3"]


@pytest.mark.database("sqlite")
async def test_it_stays_when_the_title_changes_and_is_made_anew_when_it_is_cleared(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add(Sample(title="One"))
    async with app.state.database.writer() as session:
        row = (await session.scalars(select(Sample))).one()
        row.title = "Two"
    assert await slugs(app) == ["one"]
    async with app.state.database.writer() as session:
        row = (await session.scalars(select(Sample))).one()
        row.slug = ""
    assert await slugs(app) == ["two"]


@pytest.mark.database("sqlite")
async def test_one_that_follows_changes_with_the_title_unless_it_is_changed_itself(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Follower(name="One"), Follower(name="Three")])
    async with app.state.database.writer() as session:
        first, second = (await session.scalars(select(Follower).order_by(col(Follower.id)))).all()
        first.name = "Two"
        second.name, second.slug = "Four", "five"
    assert await slugs(app, Follower) == ["two", "five"]


async def test_old_slugs_lead_to_the_row_that_had_them_last(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Follower(name="One"), Follower(name="Other")])
    for name in ("Two", "Three", "Two"):
        async with app.state.database.writer() as session:
            (await session.get_one(Follower, 1)).name = name
    async with app.state.database.reader() as session:
        assert (await session.get_one(Follower, 1)).old_slugs == ["one", "three"]
        moved = [await find_moved(session, Follower, slug) for slug in ("one", "three", "two", "on", "%", '"')]
        assert await find_moved(session, Sample, "one") is None
    assert [row and row.id for row in moved] == [1, 1, None, None, None, None]


def test_a_source_that_is_no_field_is_one_line() -> None:
    with pytest.raises(OperatorError, match=r"Wrong.slug: slug_field\(…\) names 'titel'"):

        class Wrong(Model):
            title: str = Field(max_length=9)
            slug: Slug = slug_field("titel")
