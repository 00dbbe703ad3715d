"""Search in documents: the index that a feature declares."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request

from opportune.config.settings import Settings
from opportune.contrib.documents.databases import engine_for
from opportune.contrib.documents.document import H, IndexDefinition, Source, by_meaning
from opportune.contrib.documents.feature import documents
from opportune.contrib.documents.jobs import embed_documents, vector_fields_of
from opportune.contrib.documents.search import DocumentSearch
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.search.embeddings import EMBEDDINGS
from opportune.search.registry import vector_tables
from opportune.services.clock import clock

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
            fields = vector_fields_of(self)
            vector_tables[fields.table] = fields

    def open(self, settings: Settings, database: Database | None = None) -> DocumentSearch[H]:
        """Return a search that reads the index on first use, with `database` if the index is in it.

        Raises:
            OperatorError: The setting or DATABASE_URL is invalid.
        """
        return DocumentSearch(self, engine_for(self, settings, database), database)

    async def search(self, request: Request) -> DocumentSearch[H]:
        """Return the site's search: `Annotated[DocumentSearch[Hit], Depends(index.search)]`. It needs `lifespan`."""
        return cast("DocumentSearch[H]", getattr(request.app.state, self.name))

    def commands(self, source: Callable[[Path | None], Source], of_folder: str) -> "typer.Typer":
        """Return the commands `index [FOLDER]`, `status` and `clear`, for the `command` of a feature's module.

        Args:
            source: Function that returns the source in a folder, or the default source for None.
            of_folder: Help of the argument FOLDER.
        """
        from opportune.contrib.documents.commands import commands_for  # sites do not import typer

        return commands_for(self, source, of_folder)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Provide the search at `app.state.<name>`, for `Feature(lifespan=…)`. The first search reads the index.

        The job of an index `by_meaning` is queued at most once a minute for all processes of the site.

        Raises:
            OperatorError: An index `by_meaning` needs the feature `documents`, which is not installed.
        """
        search = self.open(app.state.settings, app.state.database)
        if self.by_meaning and EMBEDDINGS in app.state.database.info:
            if documents not in app.state.features:
                raise OperatorError(
                    f"The index {self.name} is searched by meaning: add the feature documents to installed.py."
                )
            key = f"embed documents {self.name} {int(clock.now()) // 60}"
            await app.state.jobs.enqueue(embed_documents(self.name), key=key)
        setattr(app.state, self.name, search)
        try:
            yield
        finally:
            await search.close()
