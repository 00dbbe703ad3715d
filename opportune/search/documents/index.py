"""An index of documents, as its owner describes it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, SecretStr, ValidationInfo
from starlette.requests import Request

from opportune.config.project import PROJECT
from opportune.config.settings import BaseSettings, Settings
from opportune.db.url.database_url import DatabaseURL
from opportune.search.documents.document import Document, Source, columns_of
from opportune.search.documents.results import DocumentHit, IndexMissing

if TYPE_CHECKING:
    import typer

    from opportune.db.database import Database
    from opportune.search.documents.build import Built, Progress
    from opportune.search.documents.search import DocumentSearch
    from opportune.search.documents.store import Store

H = TypeVar("H", bound=DocumentHit)


@dataclass(frozen=True)
class DocumentIndex(Generic[H]):
    """What is elsewhere, such as the pages of a folder, made searchable: by a command or a job, and again in its place.

    It is a file that each process reads into memory, or a schema of PostgreSQL: where its setting says, else in the
    site's own PostgreSQL, else in `<name>.db` beside the site's SQLite file.
    """

    name: str
    """Of the schema or file, of `app.state.<name>`, and of the command."""
    title: str
    """What people call it, after "There is no index of"."""
    document: type[Document] = Document
    hit: type[H] = DocumentHit  # type: ignore[assignment]  # what H is then
    """What a search answers; its fields that are columns of the document are read."""
    settings: type[BaseSettings] | None = None
    """The feature's own, with `<name>_database_url: IndexURL` for those who want it elsewhere."""
    by_meaning: bool = False
    """Whether documents are found by what they mean, too, where EMBEDDING_MODEL names a model: a job sends it them."""

    def __post_init__(self) -> None:
        if self.by_meaning:
            by_meaning[self.name] = self

    @property
    def command(self) -> str:
        """What makes it."""
        return f"python3 oppman.py {self.name} index"

    @property
    def setting(self) -> str:
        """What says where it is."""
        return f"{self.name}_database_url".upper() if self.settings else "DATABASE_URL"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.document)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The columns that are shown of each hit, of a parent and of a child."""
        return tuple(name for name in self.columns if name in self.hit.model_fields)

    @property
    def missing(self) -> IndexMissing:
        return IndexMissing(self.title)

    def url(self, settings: Settings) -> DatabaseURL:
        """Where the index is.

        Raises:
            OperatorError: its setting or DATABASE_URL is not understood.
        """
        own = settings.of(self.settings) if self.settings else None
        given = getattr(own, self.setting.lower(), SecretStr("")).get_secret_value()
        if given:
            return DatabaseURL.parse(given, settings.database_pooled, self.setting)
        main = DatabaseURL.parse(settings.database_url.get_secret_value(), settings.database_pooled)
        if main.kind == "postgresql":
            return main
        beside = main.url.set(database=str(main.path.with_name(f"{self.name}.db")))
        return DatabaseURL("sqlite", beside, name=self.setting)

    def open(self, settings: Settings, database: "Database | None" = None) -> "DocumentSearch[H]":
        """The index, not read yet. `database` is used if that is where it is.

        Raises:
            OperatorError: as above.
        """
        from opportune.search.documents.search import DocumentSearch, engine_for  # noqa: PLC0415 - not for a command

        return DocumentSearch(self, engine_for(self, settings, database), database)

    async def search(self, request: Request) -> "DocumentSearch[H]":
        """A dependency: `Annotated[DocumentSearch[Hit], Depends(index.search)]`. The feature has its `lifespan`."""
        search: DocumentSearch[H] = getattr(request.app.state, self.name)
        return search

    def store(self, url: DatabaseURL) -> "Store":
        """Where it is written."""
        from opportune.search.documents.store import store_of  # noqa: PLC0415 - for a command, and not for the site

        return store_of(self, url)

    def build(self, source: Source, url: DatabaseURL, progress: "Progress") -> "Built":
        """Make the index anew. Until that is done the old one answers; when interrupted, the next run goes on.

        Raises:
            OperatorError: there is nothing to read, nowhere to write, or another run is at it.
        """
        from opportune.search.documents.build import build  # noqa: PLC0415 - as above

        return build(self, source, url, progress)

    def commands(self, source: Callable[[Path | None], Source], of_folder: str) -> "typer.Typer":
        """The commands `index [FOLDER]`, `status` and `clear`, for the `command` of a feature's `commands.py`."""
        from opportune.search.documents.commands import commands_for  # noqa: PLC0415 - as above

        return commands_for(self, source, of_folder)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """For a feature: the search is at `app.state.<name>`, and nothing is read before somebody asks."""
        search = self.open(app.state.settings, app.state.database)
        setattr(app.state, self.name, search)
        try:
            yield
        finally:
            await search.close()


by_meaning: dict[str, DocumentIndex[Any]] = {}
"""Those whose documents have vectors, by their names."""


def _understood(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if given := value.get_secret_value():
        DatabaseURL.parse(given, name=(info.field_name or "").upper())
    return value


IndexURL = Annotated[SecretStr, AfterValidator(_understood)]
"""A setting with the address of an index's database, or nothing; another is refused in one line, at the start."""

FOLDER = PROJECT / "data"
"""Where what has been read so far is kept while an index in PostgreSQL is made."""
