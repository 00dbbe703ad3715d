"""Search in documents: the index that a feature declares."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.url.database_url import DatabaseURL
from opportune.search.documents.build import BuildResult, Progress, build, store_of
from opportune.search.documents.definition import H, IndexDefinition
from opportune.search.documents.document import Source
from opportune.search.documents.search import DocumentSearch, engine_for
from opportune.search.documents.store import Store

if TYPE_CHECKING:
    import typer


@dataclass(frozen=True)
class DocumentIndex(IndexDefinition[H]):
    """Full-text index of documents outside the database, such as the pages of a folder. A command or a job builds it.

    The index is a schema of PostgreSQL or a SQLite file that each process reads into memory. Its setting names the
    database. The default is the site's PostgreSQL database, or `<name>.db` beside the site's SQLite file.
    """

    def __post_init__(self) -> None:
        if self.by_meaning:
            by_meaning[self.name] = self

    def open(self, settings: Settings, database: Database | None = None) -> DocumentSearch[H]:
        """Return a search that reads the index on first use, with `database` if the index is in it.

        Raises:
            OperatorError: The setting or DATABASE_URL is invalid.
        """
        return DocumentSearch(self, engine_for(self, settings, database), database)

    async def search(self, request: Request) -> DocumentSearch[H]:
        """Return the site's search: `Annotated[DocumentSearch[Hit], Depends(index.search)]`. It needs `lifespan`."""
        search: DocumentSearch[H] = getattr(request.app.state, self.name)
        return search

    def store(self, url: DatabaseURL) -> Store:
        """Return the writable index in a database."""
        return store_of(self, url)

    def build(self, source: Source, url: DatabaseURL, progress: Progress) -> BuildResult:
        """Build the index. The old one serves searches until the new one is complete. An interrupted run resumes.

        Raises:
            OperatorError: There is nothing to read, the target is not writable, or another run is in progress.
        """
        return build(self, source, url, progress)

    def commands(self, source: Callable[[Path | None], Source], of_folder: str) -> "typer.Typer":
        """Return the commands `index [FOLDER]`, `status` and `clear`, for the `command` of a feature's module.

        Args:
            source: Function that returns the source in a folder, or the default source for None.
            of_folder: Help of the argument FOLDER.
        """
        from opportune.search.documents.commands import commands_for  # noqa: PLC0415 - sites do not import typer

        return commands_for(self, source, of_folder)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Provide the search at `app.state.<name>`, for `Feature(lifespan=…)`. The first search reads the index."""
        search = self.open(app.state.settings, app.state.database)
        setattr(app.state, self.name, search)
        try:
            yield
        finally:
            await search.close()


by_meaning: dict[str, DocumentIndex[Any]] = {}
"""The site's indexes that are also searched by meaning, by name of the index."""
