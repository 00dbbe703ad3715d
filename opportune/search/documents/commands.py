"""The commands of an index of documents: `oppman.py NAME index [FOLDER]`, `status` and `clear`."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings, get_settings
from opportune.db.errors import explain
from opportune.errors import OperatorError
from opportune.runtime.progress import work
from opportune.search.documents.document import Source
from opportune.search.documents.index import DocumentIndex
from opportune.search.documents.results import IndexMissing, IndexStatus

MAX_NAMES_SHOWN = 20
"""Names of what was left out that are listed."""


def commands_for(
    documents: DocumentIndex[Any], source_of: Callable[[Path | None], Source], of_folder: str
) -> typer.Typer:
    """`source_of` is given the folder, or None for what is indexed without one; `of_folder` says which is meant."""
    command = typer.Typer()

    @command.command()
    def index(
        folder: Annotated[Path | None, typer.Argument(help=of_folder, show_default=False)] = None,
    ) -> None:
        """Make the index anew, of what the feature brings or of a folder."""
        make(documents, source_of(folder), get_settings())

    @command.command()
    def status() -> None:
        """Say what the index holds."""
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # psycopg cannot use Windows' own
            found = runner.run(read_status(documents, get_settings()))
        typer.echo(f"{found.entries} entries of {found.source}, indexed on {found.built_at:%Y-%m-%d %H:%M} UTC.")
        if found.skipped:
            typer.echo(f"Modules or pages that were left out: {found.skipped}.")
        if not found.mends_typos:
            typer.echo("Typing errors are not mended: this server has no extension pg_trgm.")

    @command.command()
    def clear() -> None:
        """Remove the index."""
        removed = documents.store(documents.url(get_settings())).clear()
        typer.echo("The index is removed." if removed else "There was no index.")

    return command


def make(documents: DocumentIndex[Any], source: Source, settings: Settings) -> None:
    """Build the index, and say what it holds and what was left out."""
    started = time.monotonic()
    try:
        built = documents.build(source, documents.url(settings), work)
    except KeyboardInterrupt:
        typer.echo("Stopped. The old index stays; the same command goes on from here.", err=True)
        raise typer.Exit(130) from None
    for name in list(built.left_out)[:MAX_NAMES_SHOWN]:
        typer.echo(f"Left out {name}: {built.left_out[name]}", err=True)
    if len(built.left_out) > MAX_NAMES_SHOWN:
        typer.echo(f"Left out {len(built.left_out) - MAX_NAMES_SHOWN} more.", err=True)
    if built.resumed:
        typer.echo(f"{built.resumed} were read before.")
    typer.echo(f"{built.entries} entries of {source.title} in {time.monotonic() - started:.1f} s.")


async def read_status(documents: DocumentIndex[Any], settings: Settings) -> IndexStatus:
    search = documents.open(settings)
    try:
        return await search.status()
    except IndexMissing:
        raise OperatorError(f"There is no index of {documents.title} yet. Run: {documents.command}") from None
    except DBAPIError as error:
        raise OperatorError(explain(error, documents.url(settings))) from error
    finally:
        await search.close()
