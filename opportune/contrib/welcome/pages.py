"""Notes for the developer of the project: first steps, installed features and their folders."""

import asyncio
import platform
from collections.abc import Sequence

import fastapi
from fastapi import Request, Response

from opportune.accounts import OptionalUser
from opportune.project.installed import installed_names
from opportune.project.layout import PROJECT
from opportune.web import templates
from opportune.web.routing.api_router import APIRouter

FOLDERS = ("app/{}", "templates/{}", "static/{}", "migrations/versions/{}", "tests/{}")
"""Possible folders of a feature. `{}` is its name."""

router = APIRouter(include_in_schema=False)


@router.get("/welcome")
async def welcome(request: Request, _user: OptionalUser) -> Response:
    names = installed_names()
    features = [feature for feature in request.app.state.features if feature.name in names]
    context = {
        "features": features,
        "has_appearance": any(feature.name == "operations" for feature in request.app.state.features),
        "folders": await asyncio.to_thread(find_folders, [feature.name for feature in features]),
        "database": "PostgreSQL" if request.app.state.database.url.kind == "postgresql" else "SQLite",
        "versions": {"Python": platform.python_version(), "FastAPI": fastapi.__version__},
    }
    return templates.render(request, "welcome.html", context)


def find_folders(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the folders of each feature that exist in this project."""
    folders = {name: [pattern.format(name) for pattern in FOLDERS] for name in names}
    return {name: [path for path in paths if (PROJECT / path).is_dir()] for name, paths in folders.items()}
