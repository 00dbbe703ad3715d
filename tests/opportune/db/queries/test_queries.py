"""Eager loading with `load`."""

import pytest
from sqlalchemy import select

from opportune.db import Database, load
from opportune.testing import Make
from tests.opportune.crud.library import Volume, Writer
from tests.opportune.stored_rows import read_one
from tests.opportune.tables import make_tables


async def test_load_reads_relationships_with_the_query(database: Database, make: Make) -> None:
    await make_tables(database, Volume)
    await make(Volume, writer=await make(Writer, name="Ann"))
    volume = await read_one(database, select(Volume).options(load(Volume.writer), load(Volume.topics)))
    assert volume.writer.name == "Ann"
    assert volume.topics == []


@pytest.mark.parametrize("value", [Volume.title, "writer"])
def test_load_takes_only_relationships(value: object) -> None:
    with pytest.raises(TypeError, match=r"load\(\) takes relationships, such as Book\.author"):
        load(value)
