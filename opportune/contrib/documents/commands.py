"""Commands of a document index: `oppman.py NAME index [FOLDER]`, `status` and `clear`."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings, get_settings
from opportune.contrib.documents.databases import engine_for, store_of
from opportune.contrib.documents.document import IndexDefinition, IndexMissing, IndexStatus, Source
from opportune.contrib.documents.search import DocumentSearch
from opportune.db.errors import explain
from opportune.errors import OperatorError

MAX_NAMES_SHOWN = 20
"""Maximum number of skipped batches that are listed."""


def commands_for(
    documents: IndexDefinition[Any], open_source: Callable[[Path | None], Source], folder_help: str
) -> typer.Typer:
    """Create the commands.

    Args:
        documents: The index.
        open_source: Returns the source in a folder, or the default source for None.
        folder_help: Help of the argument FOLDER.
    """
    command = typer.Typer()

    @command.command()
    def index(folder: Annotated[Path | None, typer.Argument(help=folder_help, show_default=False)] = None) -> None:
        """Build the index from the default source or a folder."""
        build_index(documents, open_source(folder), get_settings())

    @command.command()
    def status() -> None:
        """Show the contents of the index."""
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # psycopg needs it on Windows
            index_status = runner.run(read_status(documents, get_settings()))
        built_at = f"{index_status.built_at:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{index_status.entries} entries of {index_status.source}, indexed on {built_at}.")
        if index_status.skipped:
            typer.echo(f"Skipped modules or pages: {index_status.skipped}.")
        if not index_status.mends_typos:
            typer.echo("Typos are not corrected, because this server has no extension pg_trgm.")

    @command.command()
    def clear() -> None:
        """Remove the index."""
        removed = store_of(documents, documents.url(get_settings())).clear()
        typer.echo("The index was removed." if removed else "There was no index.")

    return command


def build_index(documents: IndexDefinition[Any], source: Source, settings: Settings) -> None:
    """Build the index, and print its size and skipped batches."""
    started_at = time.monotonic()
    try:
        contents = store_of(documents, documents.url(settings)).build(source)
    except KeyboardInterrupt:
        typer.echo("Stopped. The old index is unchanged.", err=True)
        raise typer.Exit(130) from None
    for name, reason in [*contents.skipped.items()][:MAX_NAMES_SHOWN]:
        typer.echo(f"Skipped {name}: {reason}", err=True)
    if len(contents.skipped) > MAX_NAMES_SHOWN:
        typer.echo(f"Skipped {len(contents.skipped) - MAX_NAMES_SHOWN} more.", err=True)
    typer.echo(f"{len(contents.entries)} entries of {source.title} in {time.monotonic() - started_at:.1f} s.")


async def read_status(documents: IndexDefinition[Any], settings: Settings) -> IndexStatus:
    search = DocumentSearch(documents, engine_for(documents, settings))
    try:
        return await search.status()
    except IndexMissing:
        raise OperatorError(f"There is no index of {documents.title} yet. Run: {documents.command}") from None
    except DBAPIError as error:
        raise OperatorError(explain(error, documents.url(settings))) from error
    finally:
        await search.close()
