"""The version in the README, and the code of the guide for users of FastAPI's template."""

from collections.abc import Iterator
from typing import Any

import pytest

from opportune import __version__
from opportune.config import PROJECT, Settings
from opportune.crud.registry import crud_classes
from opportune.db import Model
from opportune.feature import Feature
from opportune.testing import make_user, signed_in_client
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.site_with import site_with

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_readme_states_the_version() -> None:
    assert f"**Version {__version__.rpartition('.')[0]}**" in README


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    names = run_code(*code_blocks(read_guide("from-fastapi.md")), __name__=__name__)
    yield names
    Model.metadata.remove(names["Item"].__table__)
    del crud_classes[names["Item"]]


async def test_guide_code_serves_rows_of_their_owner(names: dict[str, Any], settings: Settings) -> None:
    feature = Feature("items", models=[names["Item"]], api=names["router"])
    async with site_with(feature, settings) as app:
        database = app.state.database
        async with database.engine.begin() as connection:
            await connection.run_sync(names["Item"].__table__.create)
        users = await make_user(database), await make_user(database)
        async with signed_in_client(app, users[0]) as owner, signed_in_client(app, users[1]) as other:
            item = (await owner.post("/api/v1/items", json={"title": "Lamp"})).json()
            assert (await owner.get(f"/api/v1/items/{item['id']}")).json()["title"] == "Lamp"
            assert (await other.get(f"/api/v1/items/{item['id']}")).status_code == 404
            assert [(await client.get("/api/v1/items/count")).json() for client in (owner, other)] == [1, 0]
