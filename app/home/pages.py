"""The landing page. It lists the installed features and the folders of their code. Replace it with your own."""

import asyncio
import platform
from collections.abc import Sequence
from functools import lru_cache

import fastapi
from fastapi import APIRouter, Request, Response

from opportune.accounts import OptionalUser
from opportune.config import PROJECT
from opportune.features import CORE_FEATURES
from opportune.web import cached, render_panels, templates

router = APIRouter()

FOLDERS = ("app/{}", "templates/{}", "static/{}", "migrations/versions/{}", "tests/{}")
"""Possible folders of a feature. `{}` is its name."""


@router.get("/")
@cached(60, stale=300, query=())
async def home(request: Request, user: OptionalUser) -> Response:
    state = request.app.state
    features = [feature for feature in state.features if feature not in CORE_FEATURES]
    context = {
        "cards": await render_panels(request, (feature.home_card for feature in state.features), user),
        "features": features,
        "folders": await asyncio.to_thread(folders, tuple(feature.name for feature in features)),
        "database": "PostgreSQL" if state.database.url.kind == "postgresql" else "SQLite",
        "versions": {"Python": platform.python_version(), "FastAPI": fastapi.__version__},
    }
    return templates.render(request, "home/home.html", context)


@lru_cache
def folders(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the folders of each feature that exist in this project."""
    return {
        name: [folder for pattern in FOLDERS if (PROJECT / (folder := pattern.format(name))).is_dir()] for name in names
    }
