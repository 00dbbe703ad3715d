"""List the URLs of the site.

Shows the methods, the name and the feature of each URL.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import typer
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Mount, WebSocketRoute

from opportune.cli.options import AsJson
from opportune.cli.output import print_json, print_table
from opportune.errors import OperatorError
from opportune.project.layout import origin
from opportune.project.modules import site_application

WEBSOCKET = "WEBSOCKET"


class Row(NamedTuple):
    path: str
    methods: str
    name: str
    origin: str
    """Feature, or module of the framework, that serves the URL."""


HEADINGS = Row("PATH", "METHODS", "NAME", "FROM")


def command(
    filter_text: Annotated[str, typer.Argument(metavar="FILTER", help="Show only lines that contain this.")] = "",
    as_json: AsJson = False,
) -> None:
    rows = [row for row in sorted(find_rows(site_application().routes)) if filter_text.lower() in " ".join(row).lower()]
    if as_json:
        print_json([{**row._asdict(), "methods": row.methods.split(",")} for row in rows])
    elif rows:
        print_table(HEADINGS, rows)
    else:
        raise OperatorError(f"No address, name or feature contains {filter_text!r}.")


def find_rows(routes: Sequence[BaseRoute | RouteContext], prefix: str = "", namespace: str = "") -> Iterator[Row]:
    for context in iter_route_contexts(routes):
        path = prefix + (context.path or "")
        route = context.original_route
        if not isinstance(route, Mount):
            is_socket = isinstance(route, WebSocketRoute)
            methods = ",".join(sorted(context.methods or [WEBSOCKET if is_socket else "ANY"]))
            yield Row(path or "/", methods, namespace + (context.name or ""), origin(context.endpoint))
        elif route.routes:
            yield from find_rows(route.routes, path, f"{namespace}{route.name}:" if route.name else namespace)
        else:
            yield Row(f"{path}/…", "ANY", route.name or "", origin(route.app))
