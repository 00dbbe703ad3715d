"""Index Python's documentation for the search at /pydocs."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import DBAPIError

from app.pydocs.engines.opening import index_url, open_engine
from app.pydocs.index.building import Bar, build
from app.pydocs.index.python import PythonSource
from app.pydocs.index.sphinx import SphinxSource
from app.pydocs.index.store import store_of
from app.pydocs.schemas import IndexMissing, IndexStatus
from app.pydocs.service import Search
from opportune.db.errors import explain
from opportune.errors import OperatorError
from opportune.settings import get_settings

command = typer.Typer()

SHOWN = 20
"""How many names of what was left out are listed."""


@command.command()
def index(
    folder: Annotated[
        Path | None, typer.Argument(help="HTML pages that Sphinx made, with their objects.inv.", show_default="Python")
    ] = None,
) -> None:
    """Make the index anew, of this Python or of a folder."""
    started = time.monotonic()
    source = SphinxSource(folder) if folder else PythonSource()
    try:
        built = build(source, index_url(get_settings()), progress)
    except KeyboardInterrupt:
        print("Stopped. The old index stays; the same command goes on from here.", file=sys.stderr)
        raise typer.Exit(130) from None
    for name in list(built.left_out)[:SHOWN]:
        print(f"Left out {name}: {built.left_out[name]}", file=sys.stderr)
    if len(built.left_out) > SHOWN:
        print(f"Left out {len(built.left_out) - SHOWN} more.", file=sys.stderr)
    if built.resumed:
        print(f"{built.resumed} were read before.")
    print(f"{built.entries} entries of {source.title} in {time.monotonic() - started:.1f} s.")


@command.command()
def status() -> None:
    """Say what the index holds."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # psycopg cannot use Windows' own
        found = runner.run(read_status())
    print(f"{found.entries} entries of {found.source}, indexed on {found.built_at:%Y-%m-%d %H:%M} UTC.")
    if found.skipped:
        print(f"Modules or pages that were left out: {found.skipped}.")
    if not found.mends_typos:
        print("Typing errors are not mended: this server has no extension pg_trgm.")


@command.command()
def clear() -> None:
    """Remove the index."""
    removed = store_of(index_url(get_settings())).clear()
    print("The index is removed." if removed else "There was no index.")


async def read_status() -> IndexStatus:
    settings = get_settings()
    url = index_url(settings)
    search = Search(open_engine(settings))
    try:
        return await search.status()
    except IndexMissing:
        raise OperatorError(f"There is no index of the documentation yet. Run: {IndexMissing.COMMAND}") from None
    except DBAPIError as error:
        raise OperatorError(explain(error, url)) from error
    finally:
        await search.close()


@contextmanager
def progress(words: str, steps: int) -> Iterator[Bar]:
    """A bar for somebody who watches; nothing in a log."""
    with typer.progressbar(length=steps, label=words, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        yield bar
