"""Rows in the trash in conditions on relationships and in `exists()`."""

from typing import Any

import pytest
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, selectinload
from sqlmodel import col

from opportune.db import deleted_rows_included, with_deleted
from opportune.db.sessions.trash import hide_deleted
from tests.opportune.db.trash.shop import Good, GoodLabel, ShopLabel, Vendor

# SQLModel types relationships as lists and rows.
GOODS: Any = Vendor.goods
VENDOR: Any = Good.vendor
LABELS: Any = Good.labels
SET_MEMBERS: Any = Good.set_members
VENDOR_IDS = select(col(Vendor.id))
GOOD_IDS = select(col(Good.id))
SHOP: Any = aliased(Vendor)
HAS_GOODS = exists(col(Good.id)).where(col(Good.vendor_id) == col(Vendor.id))


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


pytestmark = pytest.mark.usefixtures("deleted_rows")


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("statement", "ids"),
    [
        pytest.param(VENDOR_IDS.where(GOODS.any()), [1], id="any"),
        pytest.param(VENDOR_IDS.where(~GOODS.any()), [2], id="not any"),
        pytest.param(VENDOR_IDS.where(GOODS.any(col(Good.name) == "Anvil")), [1], id="any with condition"),
        pytest.param(VENDOR_IDS.where(GOODS.any(name="Rocket")), [], id="any with name of a deleted row"),
        pytest.param(GOOD_IDS.where(VENDOR.has()), [1], id="has"),
        pytest.param(GOOD_IDS.where(~VENDOR.has()), [4], id="has not"),
        pytest.param(GOOD_IDS.where(VENDOR.has(GOODS.any())), [1], id="nested"),
        pytest.param(GOOD_IDS.where(LABELS.any()), [], id="many to many"),
        pytest.param(GOOD_IDS.where(SET_MEMBERS.any()), [], id="same model"),
        pytest.param(GOOD_IDS.where(SET_MEMBERS.any(col(Good.name) == "Nail")), [], id="same model with condition"),
        pytest.param(select(SHOP.id).where(SHOP.goods.any()), [1], id="alias"),
        pytest.param(VENDOR_IDS.where(HAS_GOODS), [1], id="exists"),
        pytest.param(with_deleted(GOOD_IDS.where(LABELS.any())), [1], id="many to many with deleted rows"),
        pytest.param(with_deleted(VENDOR_IDS.where(GOODS.any())), [1, 2, 3], id="any with deleted rows"),
    ],
)
async def test_condition_leaves_deleted_rows_out(session: AsyncSession, statement: Any, ids: list[int]) -> None:
    assert sorted(await session.scalars(statement)) == ids


async def test_condition_in_a_block_includes_deleted_rows(session: AsyncSession) -> None:
    with deleted_rows_included(session):
        assert [*await session.scalars(VENDOR_IDS.where(GOODS.any(name="Rocket")))] == [1]


async def test_any_in_a_counted_subquery(session: AsyncSession) -> None:
    counted = select(func.count()).select_from(VENDOR_IDS.where(GOODS.any()).subquery())
    assert await session.scalar(counted) == 1


async def test_any_without_session(session: AsyncSession) -> None:
    connection = await session.connection()
    assert [*await connection.scalars(hide_deleted(VENDOR_IDS.where(GOODS.any())))] == [1]


@pytest.mark.database("sqlite", "postgresql")
async def test_any_with_eager_loading_and_a_limit(session: AsyncSession) -> None:
    statement = select(Vendor).where(GOODS.any()).options(selectinload(GOODS)).limit(5)
    (vendor,) = await session.scalars(statement)
    assert [good.name for good in vendor.goods] == ["Anvil"]
