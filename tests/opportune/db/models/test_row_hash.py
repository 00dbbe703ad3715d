"""Hashes of rows, which are those of their primary keys."""

import pytest

from opportune.db import Database
from opportune.testing import Make
from tests.opportune.crud.library import Writer
from tests.opportune.tables import make_tables


async def test_stored_rows_are_hashable(database: Database, make: Make) -> None:
    await make_tables(database, Writer)
    ann, bob = await make.many(Writer, 2)
    async with database.reader() as session:
        reloaded_ann = await session.get_one(Writer, ann.id)

    assert {ann, bob, reloaded_ann} == {ann, bob}


def test_row_that_is_not_stored_has_no_hash() -> None:
    with pytest.raises(TypeError, match="This Writer has no hash: it is not stored yet"):
        hash(Writer(name="Ann"))
