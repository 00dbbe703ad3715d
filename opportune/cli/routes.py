"""`oppman.py routes`: every address that the site answers."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import typer
from fastapi.routing import RouteContext, iter_route_contexts
from rich.console import Console
from rich.table import Table
from starlette.routing import BaseRoute, Mount

from opportune.errors import OperatorError
from opportune.project import PACKAGE, application


class Row(NamedTuple):
    path: str
    methods: str
    name: str
    origin: str
    """The feature, or the part of the site, that answers."""


HEADINGS = Row("PATH", "METHODS", "NAME", "FROM")
UNFOLDED_WIDTH_CHARS = 1000
"""Columns, more than any address takes."""


def command(
    words: Annotated[str, typer.Argument(metavar="FILTER", help="Only lines that contain this.")] = "",
) -> None:
    """List the addresses of the site with their methods and names, and the feature that answers."""
    found = [row for row in sorted(find_rows(application().routes)) if words.lower() in " ".join(row).lower()]
    if not found:
        raise OperatorError(f"No address, name or feature contains {words!r}.")
    print_table(
        found, Console(width=None if sys.stdout.isatty() else UNFOLDED_WIDTH_CHARS, markup=False, highlight=False)
    )


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Fold what is too long for the console; `| grep` gets each address on one line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="none")
    for heading in HEADINGS:
        narrow = heading == HEADINGS.methods and console.width < UNFOLDED_WIDTH_CHARS
        table.add_column(heading, overflow="fold", max_width=len("GET,HEAD,") if narrow else None)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def find_rows(routes: Sequence[BaseRoute | RouteContext], prefix: str = "") -> Iterator[Row]:
    for context in iter_route_contexts(routes):
        path = prefix + (context.path or "")
        mounted = context.original_route
        if not isinstance(mounted, Mount):
            yield Row(
                path or "/", ",".join(sorted(context.methods or ["ANY"])), context.name or "", origin(context.endpoint)
            )
        elif mounted.routes:
            yield from find_rows(mounted.routes, path)
        else:
            yield Row(f"{path}/…", "ANY", mounted.name or "", origin(mounted.app))


def origin(endpoint: object) -> str:
    """`books` for code in app.books, `accounts` for opportune.accounts, else the library's name."""
    module: str = getattr(endpoint, "__module__", "")
    package, _, rest = module.partition(".")
    return (rest if package in (PACKAGE, "opportune") else package).partition(".")[0]
