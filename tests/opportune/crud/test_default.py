"""The default `Crud` class of a model, whose rules apply when other models refer to its rows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.crud.registry import crud_classes, default_crud
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.testing import make_user, signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.crud.library import Opinions, Volume, Volumes, Writer
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows


class OpenVolumes(Crud[Volume]):
    """All volumes, also drafts. Its pages are declared above those of the default."""

    read_permission = Permission.ANYONE
    exclude = ("title",)


open_pages = CrudPages(OpenVolumes, "/open-volumes", columns=("id",))
library = Feature(
    "library",
    models=[Volume],
    api=[CrudApi(OpenVolumes, "/open-volumes").router, CrudApi(Opinions, "/opinions").router],
    pages=[open_pages.router, CrudPages(Volumes, "/volumes").router, CrudPages(Opinions, "/opinions").router],
)
app = site_fixture(library)


@pytest.fixture
async def draft(app: FastAPI) -> Volume:
    await add_rows(app, Writer(id=1, name="Jane"), draft := Volume(title="Secret plan", slug="plan", writer_id=1))
    return draft


@pytest.fixture
async def bob(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of a user who may read drafts by the open class only."""
    async with signed_in_client(app, await make_user(app.state.database)) as client:
        yield client


async def test_reference_follows_the_default_class(bob: AsyncClient, draft: Volume) -> None:
    assert (await bob.get(f"/api/v1/open-volumes/{draft.id}")).status_code == 200
    opinion = {"volume_id": draft.id, "stars": 5}
    assert (await bob.post("/api/v1/opinions", json=opinion)).status_code == 422
    assert (await bob.post("/opinions/new", data=opinion)).status_code == 422
    assert draft.title not in (await bob.get("/opinions/new")).text


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {}, "Volume has several data layers: {1}.Volumes, {0}.First and {0}.Second. Set default = True"),
        ({"default": True}, {"default": True}, "Data layers of Volume with default = True: {0}.First and {0}.Second."),
    ],
)
def test_undeclared_default_stops_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, first: Any, second: Any, message: str
) -> None:
    monkeypatch.setattr(Volumes, "default", False)
    classes: dict[Any, Any] = crud_classes
    monkeypatch.setitem(classes, Volume, [Volumes])
    for name, options in (("First", first), ("Second", second)):
        type(name, (Volumes,), options)
    with pytest.raises(OperatorError) as start:
        create_test_app(settings, [])
    with pytest.raises(OperatorError) as lookup:
        default_crud(Volume)
    assert str(start.value) == str(lookup.value)
    assert str(start.value).startswith(message.format(__name__, Volumes.__module__))
