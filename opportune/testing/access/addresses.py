"""URLs of a site's routes: the admin's for each model, with parameters of the sample rows."""

import re
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqladmin import ModelView
from starlette.routing import Mount

from opportune.admin.middleware import ADMIN_PATH
from opportune.admin.site import AdminSite
from opportune.cli.development.routes import WEBSOCKET, find_rows
from opportune.db.models.model import Versioned
from opportune.db.models.soft_delete import SoftDelete
from opportune.project.layout import origin
from opportune.testing.sample_rows import ROW_ID, SAMPLE_WORD

NOT_LISTED = {"HEAD", "OPTIONS", "ANY", WEBSOCKET}
"""Methods of routes that are not in the tables."""
PARAMETER = re.compile(r"{(\w+)(:\w+)?}")
PATH_VALUES = {"identity": SAMPLE_WORD, "export_type": "csv"}
OPTIONAL_PAGES = {"/{identity}/trash": SoftDelete, "/{identity}/version/": Versioned}
"""Base classes of the models that have these pages in the admin."""
SHARED_PAGES = re.compile(r"/{identity}/(ajax|cell|columns|editors|edit-page|edit-selected|row|views)\b")
"""Pages of the admin without rules of a model. The tables list those of one model."""


def list_addresses(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return source, method and path of each route. The admin's routes with rules of a model are listed for each."""
    addresses: set[tuple[str, str, str]] = set()
    for row in find_rows(app.routes):
        paths = [*_paths_by_model(app, row.path)] if "{identity}" in row.path else [(row.origin, row.path)]
        for method in set(row.methods.split(",")) - NOT_LISTED:
            addresses.update((source, method, path) for source, path in paths)
    return sorted(addresses, key=lambda address: (address[2], address[1]))


def _paths_by_model(app: FastAPI, path: str) -> Iterator[tuple[str, str]]:
    """Yield source and path of an admin page for each model."""
    for view in admin_of(app).views:
        if isinstance(view, ModelView) and _has_page(view, path):
            declared_class = type(view).__base__  # the site extends it
            yield origin(declared_class), path.replace("{identity}", view.identity)


def _has_page(view: ModelView, path: str) -> bool:
    """Return whether to list the page for this view. Only views of some models have a trash and versions."""
    if SHARED_PAGES.search(path):
        return bool(view.identity == "group")
    return all(issubclass(view.model, base) for page, base in OPTIONAL_PAGES.items() if page in path)


def admin_of(app: FastAPI) -> AdminSite:
    mount = next(route for route in app.routes if isinstance(route, Mount) and route.path == ADMIN_PATH)
    endpoint_owners = (getattr(context.endpoint, "__self__", None) for context in iter_route_contexts(mount.routes))
    return next(owner for owner in endpoint_owners if isinstance(owner, AdminSite))


def example_path(path: str) -> str:
    """Fill the parameters of a path with values of the sample rows."""
    return PARAMETER.sub(lambda parameter: _example_value(parameter[1]), path)


def _example_value(name: str) -> str:
    if name == "pk" or name.endswith("_id"):
        return str(ROW_ID)
    return PATH_VALUES.get(name, SAMPLE_WORD)
