"""The API of the library, with one hidden writer and one hidden topic."""

from collections.abc import Sequence

from sqlmodel import SQLModel

from opportune.crud import Crud, CrudApi, Permission
from opportune.feature import Feature
from tests.opportune.crud.library import TABLES, Notes, Opinions, Topic, Volume, Volumes, Writer, Writers
from tests.opportune.site_with import site_fixture

API = "/api/v1"
EMMA = {"title": "Emma", "slug": "emma", "writer_id": 1, "price": "12.50", "status": "published", "topics": [1]}


class NestedVolumes(Crud[Volume]):
    read_permission = Permission.ANYONE
    nested = ("writer", "editor", "topics")
    exclude = ("blurb", "is_staff")


volumes = CrudApi(Volumes, "/volumes")
library_feature = Feature(
    "library",
    models=TABLES,
    api=[
        CrudApi(Writers, "/writers").router,
        volumes.router,
        CrudApi(NestedVolumes, "/nested", without=("create", "update", "delete")).router,
        CrudApi(Opinions, "/opinions").router,
        CrudApi(Notes, "/notes").router,
    ],
)


def make_rows() -> Sequence[SQLModel]:
    """Return two writers and two topics, one of each hidden."""
    writers = Writer(name="Jane Austen", api_key="k3y"), Writer(name="No", is_hidden=True)
    return *writers, Topic(name="Love"), Topic(name="Hidden", is_hidden=True)


app = site_fixture(library_feature, make_rows)
