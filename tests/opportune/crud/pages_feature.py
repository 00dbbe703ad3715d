"""Pages of the library, as a project would write them."""

from typing import Any

from fastapi import Request, Response

from opportune.crud import Crud, CrudPages
from opportune.feature import Feature, Link, Site
from tests.opportune.crud.library import TABLES, Notes, Opinions, Topics, Volume, Volumes, Writers


class VolumePages(CrudPages[Volume]):
    columns = ("title", "writer", "price", "topics", "rating")
    sections = (("Book", ("title", "slug", "writer_id", "topics")), ("Print", ("price", "pages", "published_on")))
    formats = {"price": lambda value: f"€ {value}"}

    async def get_context(self, request: Request, crud: Crud[Volume], row: Volume) -> dict[str, Any]:
        return {"shelf": f"Shelf {row.title[0]}"}


class NotePages(CrudPages[Any]):
    without = ("get",)

    def after_save_url(self, request: Request, row: Any) -> str:
        return f"{self.path}?q={row.text}"


volume_pages = VolumePages(Volumes, "/volumes")


@volume_pages.router.get("/newest")
async def newest(request: Request) -> Response:
    return Response("the newest")


pages = (
    volume_pages.router,
    CrudPages(Writers, "/writers").router,
    CrudPages(Topics, "/topics", without=("delete",)).router,
    CrudPages(Opinions, "/opinions").router,
    NotePages(Notes, "/notes").router,
)
navigation = Site(navigation=[Link("Volumes", "/volumes", "book")])
library = Feature("library", "Books.", models=TABLES, pages=pages, site=navigation)
