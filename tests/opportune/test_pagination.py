"""Pages, sort orders and links to page numbers."""

from typing import Annotated, Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Integer, literal, select, union_all
from sqlmodel import col

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.pagination import Page, Paging, SortBy, order, paginate
from opportune.testing.factories import make_user

EMAILS = [f"{letter}@example.com" for letter in "abcde"]


async def read_page(database: Database, number: int) -> Page[User]:
    twice = union_all(select(literal(1)), select(literal(2))).subquery()  # as a join with related rows repeats a row
    query = select(User).join(twice, literal(value=True)).distinct()
    query = query.where(col(User.email) != "a@example.com").order_by(col(User.email))
    async with database.reader() as session:
        return await paginate(session, query, Paging(page=number, size=3))


@pytest.mark.database("sqlite", "postgresql")
async def test_pages_have_the_rows_in_order(database: Database) -> None:
    for email in reversed(EMAILS):
        await make_user(database, email)
    pages = [await read_page(database, number) for number in (1, 2, 3)]
    assert [[user.email for user in page.items] for page in pages] == [EMAILS[1:4], EMAILS[4:], []]
    assert {(page.total, page.pages) for page in pages} == {(4, 2)}


class UserPaging(Paging):
    sort: Annotated[str, SortBy("email", "age")] = ""


@pytest.mark.parametrize("sort", ["password", "-password", "email,age"])
def test_undeclared_sort_order_is_refused(sort: str) -> None:
    with pytest.raises(ValidationError, match="sort"):
        UserPaging.model_validate({"sort": sort})
    with pytest.raises(ValidationError, match="sort"):
        Paging.model_validate({"sort": "email"})


@pytest.mark.parametrize("name", ["nonsense", "utm"])
def test_paging_refuses_unknown_parameters(name: str) -> None:
    for value in ("1", "", ["1"]):
        with pytest.raises(ValidationError, match=name):
            UserPaging.model_validate({"size": "5", name: value})


@pytest.mark.parametrize("name", ["utm_source", "gclid"])
def test_paging_ignores_tracking_parameters(name: str) -> None:
    assert UserPaging.model_validate({"size": "5", name: "x"}) == UserPaging(size=5)


@pytest.mark.database("sqlite", "postgresql")
async def test_sort_order_with_nulls_last(database: Database) -> None:
    rows = [(1, 50), (2, 30), (3, None), (4, 30)]
    people_rows = (select(literal(id_).label("id"), literal(age, Integer).label("age")) for id_, age in rows)
    people = union_all(*people_rows).subquery()
    orders = {"": [1, 2, 3, 4], "age": [2, 4, 1, 3], "-age": [1, 2, 4, 3], "unknown": [1, 2, 3, 4]}
    async with database.reader() as session:
        for sort, ids in orders.items():
            query = select(people.c.id).order_by(*order(sort, {"age": people.c.age}, people.c.id))
            assert list(await session.scalars(query)) == ids, sort


@pytest.mark.parametrize(
    ("page", "pages", "numbers"), [(1, 5, [1, 2, 3, 0, 5]), (5, 9, [1, 0, 3, 4, 5, 6, 7, 0, 9]), (99, 3, [1, 0, 3])]
)
def test_linked_page_numbers(page: int, pages: int, numbers: list[int]) -> None:
    assert Page[Any](items=[], total=0, page=page, pages=pages).numbers == numbers
