"""Data layer of a model: reading, writing, filters and permissions."""

from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from typing import Any, assert_type
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import User
from opportune.accounts.models import Group, GroupPermission, Membership
from opportune.crud import Crud, Permission
from opportune.db import after_commit
from opportune.db.constraint_errors import VALUE_IN_USE, VALUES_IN_USE, explain_conflict, translate_database_errors
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.pagination import Page
from tests.opportune.crud.library import (
    PRINTED,
    BookStatus,
    Note,
    Opinion,
    Opinions,
    Topic,
    Topics,
    Volume,
    Volumes,
    Writer,
    Writers,
)

VOLUME_VALUES: dict[str, Any] = {
    "title": "Emma",
    "slug": "emma",
    "writer_id": 1,
    "price": "12.50",
    "status": "published",
    "published_on": "1815-12-23",
    "printed_at": PRINTED,
}


@pytest.fixture
async def volumes(session: AsyncSession, superuser: User) -> Volumes:
    """The volumes of a superuser, with one hidden writer and one hidden topic."""
    session.add_all([Writer(id=1, name="Jane Austen"), Writer(id=2, name="Nobody", is_hidden=True)])
    session.add_all([Topic(id=1, name="Love"), Topic(id=2, name="Money"), Topic(id=3, name="Hidden", is_hidden=True)])
    await session.flush()
    return Volumes(session, superuser)


async def test_row_is_found_by_lookup_and_id(volumes: Volumes) -> None:
    emma = await volumes.create({**VOLUME_VALUES, "topics": [2, 1]})
    row = await volumes.get("emma")
    assert_type(row, Volume)
    assert (row.id, row.price, row.status) == (emma.id, Decimal("12.50"), BookStatus.PUBLISHED)
    assert (row.writer.name, [topic.name for topic in row.topics]) == ("Jane Austen", ["Love", "Money"])
    assert await volumes.get(emma.id) is row


@pytest.fixture
async def three_volumes(volumes: Volumes) -> Volumes:
    """Volumes with the slugs 1, 2 and 3, the prices 1, 2 and 3, and different topics."""
    for number, topics in enumerate([[1], [1, 2], []], 1):
        day = date(2020 + number, 1, 1)
        slug = price = str(number)
        await volumes.create({**VOLUME_VALUES, "slug": slug, "price": price, "topics": topics, "published_on": day})
    return volumes


SLUGS_BY_QUERY: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["3", "2", "1"]),
    ({"sort": "price"}, ["1", "2", "3"]),
    ({"price__gte": 2, "price__lt": "3"}, ["2"]),
    ({"topics": [1, 2]}, ["2", "1"]),
    ({"topics__all": [1, 2]}, ["2"]),
    ({"writer": 1, "year": 2021}, ["1"]),
    ({"status__in": ["published"], "title": "Emma", "title__icontains": "MM", "price__in": ["1", 3]}, ["3", "1"]),
    ({"weight__isnull": True, "printed_at__lte": PRINTED, "published_on__gt": "2021-06-01"}, ["3", "2"]),
    ({"q": "emma aust"}, ["3", "2", "1"]),
]


@pytest.mark.database("sqlite", "postgresql")
async def test_list_is_filtered_and_sorted(three_volumes: Volumes) -> None:
    for query, slugs in SLUGS_BY_QUERY:
        page = await three_volumes.list(three_volumes.Filter(**query))
        assert_type(page, Page[Volume])
        assert ([volume.slug for volume in page.items], page.total) == (slugs, len(slugs)), query
        rows = await three_volumes.session.scalars(three_volumes.select(three_volumes.Filter(**query)))
        assert [volume.slug for volume in rows] == slugs, query


async def test_page_past_the_end_is_empty_and_has_the_total(three_volumes: Volumes) -> None:
    page = await three_volumes.list(three_volumes.Filter(page=9, size=2))
    assert (page.items, page.total, page.pages) == ([], 3, 2)


async def test_public_row_is_only_writable_by_its_owner(volumes: Volumes, ann: User, bob: User) -> None:
    emma = await volumes.create(VOLUME_VALUES)
    ann_opinions, bob_opinions = Opinions(volumes.session, ann), Opinions(volumes.session, bob)
    opinion = await ann_opinions.create({"volume_id": emma.id, "stars": 5})
    assert (await bob_opinions.get(opinion.id)).stars == 5
    with pytest.raises(NotFound):
        await bob_opinions.update(opinion.id, {"stars": 1})
    with pytest.raises(Forbidden):
        await Opinions(volumes.session).create({"volume_id": emma.id, "stars": 5})


async def test_values_in_use_together_are_a_combination(volumes: Volumes) -> None:
    error = FieldErrors(dict.fromkeys(("volume_id", "user_id"), VALUE_IN_USE))
    for values, message in (({"volume_id": 1}, VALUE_IN_USE), ({"volume_id": 1, "user_id": 2}, VALUES_IN_USE)):
        explained = await explain_conflict(volumes.session, Opinion, error, values, {})
        assert explained.errors == dict.fromkeys(values, message)


async def test_reference_to_an_invisible_row_is_refused(volumes: Volumes, ann: User) -> None:
    editor_volumes = Volumes(volumes.session, ann, {("volume", "*")})
    for invalid in ({"writer_id": 2}, {"writer_id": 99}, {"topics": [1, 3]}, {"topics": [99]}):
        with pytest.raises(FieldErrors) as refused:
            await editor_volumes.create({**VOLUME_VALUES, **invalid})
        assert list(refused.value.errors) == list(invalid)


@pytest.mark.database("postgresql")
async def test_text_over_the_limit_of_an_index_is_refused(session: AsyncSession) -> None:
    words = text("SELECT to_tsvector(string_agg(md5(n::text), ' ')) FROM generate_series(1, 40000) AS n")
    table = Volume.metadata.tables["library_volume"]
    with pytest.raises(FieldErrors, match="cannot store"), translate_database_errors(table):
        await session.execute(words)
    await session.rollback()


@pytest.mark.database("sqlite", "postgresql")
async def test_session_is_usable_after_constraint_errors(volumes: Volumes) -> None:
    emma = await volumes.create(VOLUME_VALUES)
    await volumes.session.commit()
    after_commit(volumes.session, called := AsyncMock())
    for invalid, field in (({"slug": "emma"}, "slug"), ({"slug": "x", "pages": 0}, "pages")):
        with pytest.raises(FieldErrors) as refused:
            await volumes.create({**VOLUME_VALUES, **invalid})
        assert list(refused.value.errors) == [field]
        await volumes.session.commit()
    called.assert_called_once()
    other = await volumes.create({**VOLUME_VALUES, "slug": "other"})
    with pytest.raises(FieldErrors):
        await volumes.update(other, {"slug": "emma", "title": "Changed"})
    assert (other.slug, other.title, other.writer.name) == ("other", "Emma", "Jane Austen")
    with pytest.raises(FieldErrors) as refused:
        await Writers(volumes.session, volumes.user).delete(1)
    assert list(refused.value.errors) == [""]
    assert (await volumes.list()).total == 2
    assert emma.title == "Emma"


async def test_invisible_links_are_kept(volumes: Volumes) -> None:
    emma = await volumes.create({**VOLUME_VALUES, "topics": [1]})
    emma.topics.append(await Topics(volumes.session).session.get_one(Topic, 3))
    await volumes.session.commit()
    volumes.session.expunge_all()
    changed = await volumes.update("emma", {"topics": [2]})
    assert [topic.id for topic in changed.topics] == [2]
    stored = await volumes.session.get_one(Volume, changed.id, populate_existing=True)
    await volumes.session.refresh(stored, ["topics"])
    assert sorted(topic.id for topic in stored.topics) == [2, 3]


@pytest.mark.parametrize(
    ("name", "all_values", "visible_values"), [("writer.name", "Nobody", None), ("topics", [1, 3], [1])]
)
async def test_cached_statement_respects_the_rules_of_related_rows(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch, name: str, all_values: Any, visible_values: Any
) -> None:
    class Shelf(Crud[Volume]):
        read_permission = Permission.ANYONE

    monkeypatch.setattr(Topics, "readable", lambda topics: Topic.id < (4 if topics.may("update") else 3))
    await volumes.create({**VOLUME_VALUES, "writer_id": 2, "topics": [1, 3]})
    users = [volumes.user, None, volumes.user]
    pages = [await Shelf(volumes.session, user).list_values(None, ["title", name]) for user in users]
    assert [page.items[0][name] for page in pages] == [all_values, visible_values, all_values]


class SharedNotes(Crud[Note]):
    owner_column = "owner_id"
    read_permission = write_permission = Permission.OWNER_OR_PERMITTED


@pytest.mark.parametrize(
    ("actions", "listed", "changed", "deleted"),
    [
        ([], 1, False, False),
        (["list"], 2, False, False),
        (["list", "update"], 2, True, False),
        (["list", "delete"], 2, False, True),
        (["update"], 1, False, False),
    ],
)
async def test_owners_see_their_rows_and_a_group_sees_all(
    session: AsyncSession, ann: User, bob: User, actions: list[str], listed: int, *, changed: bool, deleted: bool
) -> None:
    session.add_all([Note(id=1, owner_id=ann.id, text="own"), Note(id=2, owner_id=bob.id, text="other")])
    session.add_all([Group(id=1, name="Readers"), Membership(user_id=ann.id, group_id=1)])
    session.add_all(GroupPermission(group_id=1, identity="note", action=action) for action in actions)
    await session.flush()
    notes = await SharedNotes.for_user(session, ann)
    assert (await notes.list()).total == (await notes.list_values(None, ("text",))).total == listed
    assert (await notes.update(1, {"text": "new"})).text == "new", "owners may change their own rows"
    with nullcontext() if changed else pytest.raises(NotFound):
        await notes.update(2, {"text": "changed"})
    with nullcontext() if deleted else pytest.raises(NotFound):
        await notes.delete(2)
