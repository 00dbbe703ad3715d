from datetime import date
from decimal import Decimal
from typing import Any, assert_type

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import User
from opportune.crud import Access, Crud
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.pagination import Page, Paging
from tests.opportune.crud.library import (
    PRINTED,
    BookStatus,
    Notes,
    Opinion,
    Opinions,
    Topic,
    Topics,
    Volume,
    Volumes,
    Writer,
    Writers,
)

VOLUME: dict[str, Any] = {
    "title": "Emma",
    "slug": "emma",
    "writer_id": 1,
    "price": "12.50",
    "status": "published",
    "published_on": "1815-12-23",
    "printed_at": PRINTED,
}


@pytest.fixture
async def volumes(session: AsyncSession, root: User) -> Volumes:
    """Of a superuser, with two writers and three topics, one of each hidden."""
    session.add_all([Writer(id=1, name="Jane Austen"), Writer(id=2, name="Nobody", is_hidden=True)])
    session.add_all([Topic(id=1, name="Love"), Topic(id=2, name="Money"), Topic(id=3, name="Hidden", is_hidden=True)])
    await session.flush()
    return Volumes(session, root)


class FreelySorted(Paging):
    sort: str = ""


class FreelySortedTopics(Crud[Topic]):
    read_access = Access.ANYONE
    filter_schema = FreelySorted


@pytest.mark.database("sqlite")
async def test_unknown_orders_share_one_prepared_statement(session: AsyncSession) -> None:
    for sort in ("colour", "-size", "weight"):
        await FreelySortedTopics(session).rows(FreelySorted(sort=sort))
    assert len(FreelySortedTopics.definition.prepared) == 1


@pytest.mark.database("sqlite")
async def test_what_was_added_is_got_by_key_and_by_number(volumes: Volumes) -> None:
    emma = await volumes.add({**VOLUME, "topics": [2, 1]})
    found = await volumes.get("emma")
    assert_type(found, Volume)
    assert (found.id, found.price, found.status) == (emma.id, Decimal("12.50"), BookStatus.PUBLISHED)
    assert (found.writer.name, [topic.name for topic in found.topics]) == ("Jane Austen", ["Love", "Money"])
    assert await volumes.get(emma.id) is found


@pytest.mark.database("sqlite")
async def test_a_key_that_no_row_has_is_not_found(volumes: Volumes) -> None:
    for crud in (volumes, Writers(volumes.session, volumes.user)):
        for key in (0, -1, 2**63, 10**30, "nothing", "", "\0", "٣"):
            try:
                await crud.get(key)
            except NotFound:
                continue
            pytest.fail(f"{key!r} is found")


@pytest.mark.database("sqlite")
async def test_a_change_leaves_what_is_not_given(volumes: Volumes) -> None:
    emma = await volumes.add({**VOLUME, "topics": [1]})
    changed = await volumes.change("emma", {"price": "3", "topics": [2]})
    assert changed is emma
    assert (emma.title, emma.price, [topic.id for topic in emma.topics]) == ("Emma", Decimal(3), [2])
    await volumes.delete(emma)
    with pytest.raises(NotFound):
        await volumes.get("emma")


async def test_a_list_is_filtered_sorted_and_counted(volumes: Volumes) -> None:
    for number, (price, topics) in enumerate([("1", [1]), ("2", [1, 2]), ("3", [])], 1):
        day = date(2020 + number, 1, 1)
        await volumes.add({**VOLUME, "slug": str(number), "price": price, "topics": topics, "published_on": day})

    async def slugs(**wanted: Any) -> list[str]:
        found = await volumes.find(volumes.Filter(**wanted))
        assert_type(found, Page[Volume])
        assert found.total == len(found.items)
        return [volume.slug for volume in found.items]

    assert await slugs() == ["3", "2", "1"]
    assert await slugs(sort="price") == ["1", "2", "3"]
    assert await slugs(sort="-writer.name") == ["3", "2", "1"]
    assert await slugs(price__gte=2, price__lt="3") == ["2"]
    assert await slugs(topics=[1, 2]) == ["2", "1"]
    assert await slugs(topics__all=[1, 2]) == ["2"]
    assert await slugs(writer=1, year=2021) == ["1"]
    assert await slugs(writer=2) == []
    assert await slugs(status__in=["published"], title="Emma", title__icontains="MM", price__in=["1", 3]) == ["3", "1"]
    assert await slugs(weight__isnull=True, printed_at__lte=PRINTED, published_on__gt="2021-06-01") == ["3", "2"]
    assert await slugs(q="emma aust") == ["3", "2", "1"]
    assert await slugs(q="emma woolf") == []
    page = await volumes.find(volumes.Filter(page=9, size=2))
    assert (page.items, page.total, page.pages) == ([], 3, 2)


@pytest.mark.database("sqlite")
async def test_what_is_computed_comes_with_each_row(volumes: Volumes, ann: User, bob: User) -> None:
    emma = await volumes.add(VOLUME)
    await volumes.add({**VOLUME, "slug": "other"})
    volumes.session.add_all(
        [Opinion(volume_id=emma.id, user_id=user.id, stars=stars) for user, stars in ((ann, 4), (bob, 5))]
    )
    found = await volumes.find(volumes.Filter(sort="-rating"))
    assert [vars(volume)["rating"] for volume in found.items] == [4.5, None]
    assert vars(await volumes.get("emma"))["rating"] == 4.5


@pytest.mark.database("sqlite")
async def test_a_rule_says_what_is_there_for_whom(volumes: Volumes, ann: User) -> None:
    await volumes.add({**VOLUME, "status": "draft"})
    for theirs in (Volumes(volumes.session), Volumes(volumes.session, ann)):
        assert (await theirs.find()).total == 0
        with pytest.raises(NotFound):
            await theirs.get("emma")
        with pytest.raises(Forbidden):
            await theirs.change("emma", {"title": "Mine"})
    granted = Volumes(volumes.session, ann, {("volume", "edit")})
    assert (await granted.change("emma", {"title": "Ours"})).title == "Ours"
    with pytest.raises(Forbidden):
        await granted.delete("emma")


@pytest.mark.database("sqlite")
async def test_anothers_row_is_not_there(session: AsyncSession, ann: User, bob: User) -> None:
    anns, bobs = Notes(session, ann), Notes(session, bob)
    note = await anns.add({"text": "Buy milk"})
    assert note.owner_id == ann.id
    assert [one.text for one in (await anns.find(anns.Filter(q="milk"))).items] == ["Buy milk"]
    assert (await bobs.find()).total == 0
    for attempt in (bobs.get(note.id), bobs.change(note, {"text": "Mine"}), bobs.delete(note.id)):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(FieldErrors) as refused:
        await bobs.add({"text": "Below yours", "parent_id": note.id})
    assert list(refused.value.errors) == ["parent_id"]
    with pytest.raises(Forbidden):
        await Notes(session).find()


@pytest.mark.database("sqlite")
async def test_what_everybody_reads_only_its_owner_changes(volumes: Volumes, ann: User, bob: User) -> None:
    emma = await volumes.add(VOLUME)
    anns, bobs = Opinions(volumes.session, ann), Opinions(volumes.session, bob)
    opinion = await anns.add({"volume_id": emma.id, "stars": 5})
    assert (await bobs.get(opinion.id)).stars == 5
    with pytest.raises(NotFound):
        await bobs.change(opinion.id, {"stars": 1})
    with pytest.raises(Forbidden):
        await Opinions(volumes.session).add({"volume_id": emma.id, "stars": 5})


@pytest.mark.database("sqlite")
async def test_what_nobody_may_write_is_refused_by_name(volumes: Volumes) -> None:
    names = ("id", "is_staff", "secret_note", "created_at", "rating", "nonsense")
    for name in names:
        with pytest.raises(FieldErrors) as refused:
            await volumes.add({**VOLUME, name: 1})
        assert list(refused.value.errors) == [name]
    await volumes.add(VOLUME)
    for name in names:
        with pytest.raises(FieldErrors) as refused:
            await volumes.change("emma", {name: 1})
        assert list(refused.value.errors) == [name]


@pytest.mark.database("sqlite")
async def test_nobody_gives_a_row_to_somebody_else(volumes: Volumes, ann: User, bob: User) -> None:
    emma = await volumes.add(VOLUME)
    with pytest.raises(FieldErrors):
        await Opinions(volumes.session, ann).add({"volume_id": emma.id, "stars": 1, "user_id": bob.id})


@pytest.mark.database("sqlite")
async def test_what_points_at_a_row_that_is_not_there_is_refused(volumes: Volumes, ann: User) -> None:
    granted = Volumes(volumes.session, ann, {("volume", "*")})
    for wrong in ({"writer_id": 2}, {"writer_id": 99}, {"topics": [1, 3]}, {"topics": [99]}):
        with pytest.raises(FieldErrors) as refused:
            await granted.add({**VOLUME, **wrong})
        assert list(refused.value.errors) == list(wrong)


async def test_the_databases_refusals_are_the_fields_and_the_session_goes_on(volumes: Volumes) -> None:
    emma = await volumes.add(VOLUME)
    for wrong, field in (({"slug": "emma"}, "slug"), ({"slug": "x", "pages": 0}, "pages")):
        with pytest.raises(FieldErrors) as refused:
            await volumes.add({**VOLUME, **wrong})
        assert list(refused.value.errors) == [field]
    other = await volumes.add({**VOLUME, "slug": "other"})
    with pytest.raises(FieldErrors):
        await volumes.change(other, {"slug": "emma", "title": "Changed"})
    assert (other.slug, other.title, other.writer.name) == ("other", "Emma", "Jane Austen")
    with pytest.raises(FieldErrors) as refused:
        await Writers(volumes.session, volumes.user).delete(1)
    assert list(refused.value.errors) == [""]
    assert (await volumes.find()).total == 2
    assert emma.title == "Emma"


async def test_a_first_change_that_is_refused_takes_no_savepoint_and_leaves_a_session(volumes: Volumes) -> None:
    await volumes.add(VOLUME)
    await volumes.session.commit()
    with pytest.raises(FieldErrors) as refused:
        await volumes.add(VOLUME)
    assert list(refused.value.errors) == ["slug"]
    assert (await volumes.find()).total == 1


@pytest.mark.database("sqlite")
async def test_topics_that_are_hidden_stay_where_they_are(volumes: Volumes) -> None:
    emma = await volumes.add({**VOLUME, "topics": [1]})
    emma.topics.append(await Topics(volumes.session).session.get_one(Topic, 3))
    await volumes.session.commit()
    volumes.session.expunge_all()
    shown = await volumes.change("emma", {"topics": [2]})
    assert [topic.id for topic in shown.topics] == [2]
    stored = await volumes.session.get_one(Volume, shown.id, populate_existing=True)
    await volumes.session.refresh(stored, ["topics"])
    assert sorted(topic.id for topic in stored.topics) == [2, 3]


@pytest.mark.database("sqlite")
async def test_a_list_that_is_single_insert_shows_nobody_what_another_sees_of_rows_that_are_pointed_at(
    volumes: Volumes,
) -> None:
    class Shelf(Crud[Volume]):
        read_access = Access.ANYONE

    await volumes.add({**VOLUME, "writer_id": 2})
    names = ["title", "writer.name"]
    seen = [(await Shelf(volumes.session, user).rows(None, names)).items for user in (volumes.user, None, volumes.user)]
    assert [row["writer.name"] for (row,) in seen] == ["Nobody", None, "Nobody"]
