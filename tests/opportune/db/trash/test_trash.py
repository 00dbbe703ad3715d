"""Declarations of `SoftDelete` models, deleted rows, and these in conditions on relationships and `exists()`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, joinedload, selectinload
from sqlmodel import col

from opportune.accounts import UserBase
from opportune.db import (
    Model,
    SoftDelete,
    after_delete,
    after_update,
    before_delete,
    changes,
    deleted_rows_included,
    purge,
    restore,
    with_deleted,
)
from opportune.db.database import Database
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.db.sessions.trash import hide_deleted
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from tests.opportune.db.trash.shop import Good, GoodLabel, Part, ShopLabel, Vendor
from tests.opportune.stored_rows import get_row, read_all

NAMES = select(col(Good.name)).order_by(col(Good.id))


async def _names(session: AsyncSession) -> list[str]:
    return [*await session.scalars(NAMES)]


@pytest.mark.database("sqlite", "postgresql")
async def test_deleted_row_leaves_queries(session: AsyncSession) -> None:
    assert await _names(session) == ["Anvil"]
    assert [good.name for good in await session.scalars(select(Good))] == ["Anvil"]
    assert await session.get(Good, 2) is None
    assert await session.scalar(select(func.count()).select_from(Good)) == 1
    assert await session.scalar(select(func.count()).select_from(select(col(Good.id)).subquery())) == 1


async def test_deleted_row_leaves_statements_without_session(session: AsyncSession) -> None:
    connection = await session.connection()
    assert [*await connection.scalars(hide_deleted(NAMES))] == ["Anvil"]
    assert hide_deleted(NAMES) is hide_deleted(NAMES) is not NAMES


async def test_trash_is_included_on_request(session: AsyncSession) -> None:
    assert [*await session.scalars(with_deleted(NAMES))] == ["Anvil", "Rocket"]
    with deleted_rows_included(session):
        assert await _names(session) == ["Anvil", "Rocket"]
    assert await _names(session) == ["Anvil"]


async def test_get_after_deletion_in_the_same_session(session: AsyncSession) -> None:
    good = await session.get_one(Good, 1)
    await session.delete(good)
    assert await session.get(Good, 1) is None
    with deleted_rows_included(session):
        assert await session.get(Good, 1) is good


async def test_deleted_row_leaves_collections(session: AsyncSession) -> None:
    for option in (selectinload(Vendor.goods), joinedload(Vendor.goods)):  # type: ignore[arg-type]  # SQLModel
        vendor = (await session.scalars(select(Vendor).options(option))).unique().one()
        assert [good.name for good in vendor.goods] == ["Anvil"]
        session.expunge_all()


async def test_deleted_target_is_none(session: AsyncSession) -> None:
    await session.delete(await session.get_one(Vendor, 1))
    await session.flush()
    session.expunge_all()
    good = await session.get_one(Good, 1)
    assert await session.run_sync(lambda _: good.vendor) is None
    assert good.vendor_id == 1


async def test_deletion_records_time_and_user(session: AsyncSession) -> None:
    class User:
        id = 7

    with changes_come_from(ChangeOrigin("page", {"state": {"user": User()}})):
        good = await session.get_one(Good, 1)
        await session.delete(good)
    assert (good.deleted_at is not None, good.deleted_by_id) == (True, 7)


async def test_slug_of_a_deleted_row_is_taken(session: AsyncSession) -> None:
    session.add(good := Good(id=3, name="Rocket"))
    await session.flush()
    assert good.slug == "rocket-2"


async def test_row_is_deleted_again_restored_and_purged(session: AsyncSession) -> None:
    good = await session.get_one(Good, 2, execution_options={"includes_deleted": True})
    deleted_at = good.deleted_at
    await session.delete(good)
    assert good.deleted_at == deleted_at
    await restore(session, good)
    assert await _names(session) == ["Anvil", "Rocket"]
    await purge(session, good)
    assert [*await session.scalars(with_deleted(NAMES))] == ["Anvil"]


async def test_children_stay_until_the_purge(session: AsyncSession) -> None:
    good = await session.get_one(Good, 1)
    session.add(Part(id=1, good_id=1))
    await session.delete(good)
    await session.flush()
    assert [*await session.scalars(select(col(Part.id)))] == [1]
    await purge(session, good)
    assert [*await session.scalars(select(col(Part.id)))] == []


@pytest.mark.database("sqlite", "postgresql")
async def test_purge_clears_references_of_deleted_rows(session: AsyncSession) -> None:
    vendor = await session.get_one(Vendor, 1)
    await purge(session, vendor)
    goods = (await session.scalars(with_deleted(select(Good)))).all()
    assert [good.vendor_id for good in goods] == [None, None]


async def test_delete_statement_reaches_the_trash(session: AsyncSession) -> None:
    await session.execute(delete(Good))
    assert [*await session.scalars(with_deleted(NAMES))] == []


async def test_deletion_runs_guards_and_change_hooks(session: AsyncSession) -> None:
    calls: list[str] = []

    @before_delete(Good)
    async def guard(_session: AsyncSession, _good: Good) -> None:
        calls.append("guard")

    @after_update(Good)
    async def changed(_session: AsyncSession, good: Good) -> None:
        calls.append(",".join(changes(good)))

    @after_delete(Good)
    async def deleted(_session: AsyncSession, _good: Good) -> None:
        calls.append("gone")

    good = await session.get_one(Good, 1)
    await session.delete(good)
    await session.flush()
    assert calls == ["guard", "deleted_at"]
    await purge(session, good)
    assert calls == ["guard", "deleted_at", "guard", "gone"]


async def test_row_of_another_session_moves_to_the_trash(shop: Database) -> None:
    good = await get_row(shop, Good)
    async with shop.writer() as session:
        await session.delete(good)
    assert await read_all(shop, Good) == []


CODE = Path(__file__).with_name("new_models.txt").read_text(encoding="utf-8")


def test_queries_hide_rows_of_models_declared_first() -> None:
    result = subprocess.run([sys.executable, "-c", CODE], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "deleted_at IS NULL" in result.stdout


def test_users_cannot_be_soft_deleted() -> None:
    with pytest.raises(OperatorError, match="Clear is_active to keep a user from signing in"):
        type("Member", (UserBase, SoftDelete), {"__module__": __name__})


@pytest.mark.parametrize("days", ["x", -1])
def test_keep_deleted_days_is_a_number_or_none(days: object) -> None:
    with pytest.raises(OperatorError, match=r"Scrap\.keep_deleted_days is .*\. Write a number of days, or None\."):
        type("Scrap", (Model, SoftDelete), {"__module__": __name__, "keep_deleted_days": days})


# SQLModel types relationships as lists and rows.
GOODS: Any = Vendor.goods
VENDOR: Any = Good.vendor
LABELS: Any = Good.labels
SET_MEMBERS: Any = Good.set_members
VENDOR_IDS = select(col(Vendor.id))
GOOD_IDS = select(col(Good.id))
SHOP: Any = aliased(Vendor)


@pytest.fixture
async def deleted_rows(session: AsyncSession) -> None:
    """A vendor with only a deleted good, a deleted vendor with a good, and a good of a deleted label and set member."""
    session.add_all([Vendor(id=2, name="Empty"), Vendor(id=3, name="Closed"), ShopLabel(id=1, name="New")])
    await session.flush()
    session.add_all([Good(id=3, name="Spring", vendor_id=2), Good(id=4, name="Glue", vendor_id=3)])
    session.add(Good(id=5, name="Nail", set_id=1))
    await session.flush()
    session.add(GoodLabel(good_id=1, label_id=1))
    for model, row_id in ((Good, 3), (Good, 5), (Vendor, 3), (ShopLabel, 1)):
        await session.flush()
        row: Any = await session.get_one(model, row_id)
        await session.delete(row)
    await session.flush()
    session.expunge_all()


@pytest.mark.usefixtures("deleted_rows")
@pytest.mark.parametrize(
    ("statement", "ids"),
    [
        pytest.param(VENDOR_IDS.where(GOODS.any()), [1], id="any"),
        pytest.param(VENDOR_IDS.where(~GOODS.any()), [2], id="not any"),
        pytest.param(VENDOR_IDS.where(GOODS.any(name="Rocket")), [], id="any with name of a deleted row"),
        pytest.param(GOOD_IDS.where(VENDOR.has()), [1], id="has"),
        pytest.param(GOOD_IDS.where(~VENDOR.has()), [4], id="has not"),
        pytest.param(GOOD_IDS.where(VENDOR.has(GOODS.any())), [1], id="nested"),
        pytest.param(GOOD_IDS.where(LABELS.any()), [], id="many to many"),
        pytest.param(GOOD_IDS.where(SET_MEMBERS.any(col(Good.name) == "Nail")), [], id="same model with condition"),
        pytest.param(select(SHOP.id).where(SHOP.goods.any()), [1], id="alias"),
        pytest.param(
            GOOD_IDS.outerjoin(SHOP, SHOP.id == col(Good.vendor_id)).where(SHOP.id.is_(None)), [4], id="joined alias"
        ),
        pytest.param(with_deleted(GOOD_IDS.where(LABELS.any())), [1], id="many to many with deleted rows"),
        pytest.param(with_deleted(VENDOR_IDS.where(GOODS.any())), [1, 2, 3], id="any with deleted rows"),
    ],
)
async def test_condition_leaves_deleted_rows_out(session: AsyncSession, statement: Any, ids: list[int]) -> None:
    assert sorted(await session.scalars(statement)) == ids
