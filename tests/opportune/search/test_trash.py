"""Search of a model whose deleted rows stay in the trash."""

import pytest

from opportune.db import with_deleted
from opportune.db.database import Database
from opportune.search import Searchable
from tests.opportune.db.trash.shop import Good
from tests.opportune.search.books import create_indexes
from tests.opportune.tables import make_tables


@pytest.mark.database("sqlite", "postgresql")
async def test_deleted_row_is_not_found(isolated_searchables: None, database: Database) -> None:
    await make_tables(database, Good)
    goods = Searchable(Good, fields=["name"], url="/goods/{id}")
    await create_indexes(database)
    async with database.writer() as session:
        session.add_all([Good(id=1, name="Red anvil"), gone := Good(id=2, name="Red rocket")])
        await session.flush()
        await session.delete(gone)
    async with database.reader(fresh=True) as session:
        results = await goods.find(session, "red")
        assert ([hit.row.name for hit in results.items], results.total) == (["Red anvil"], 1)
        assert len((await session.scalars(with_deleted(goods.search(session, "red")))).all()) == 2
