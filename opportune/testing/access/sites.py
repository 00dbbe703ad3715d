"""Sites on a database of their own, without the settings of this machine, and the clients that request them."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from opportune.accounts.models import User
from opportune.application import create_app
from opportune.config.base_settings import BaseSettings
from opportune.project.installed import installed_features
from opportune.testing.factories import make_user, session_cookie
from opportune.testing.plugin import settings_for
from opportune.testing.sample_rows import insert_sample_rows


def sqlite_site(file: Path, **settings: object) -> FastAPI:
    return site_with_database(f"sqlite:///{file}", **settings)


def site_with_database(url: str, **settings: object) -> FastAPI:
    """Return the site without jobs, language models and the settings of this machine."""
    changes = {"jobs": "off", "llm_base_url": "http://127.0.0.1:9", **settings}
    return create_app(settings_for(url, *feature_settings_without_databases()).model_copy(update=changes))


def feature_settings_without_databases() -> Iterator[BaseSettings]:
    """Yield the settings of features, with databases that do not exist."""
    for feature in installed_features():
        if model := feature.settings:
            names = [name for name in model.model_fields if name.endswith("_database_url")]
            missing: dict[str, Any] = dict.fromkeys(names, "sqlite:///./nowhere.db")
            yield model(**missing)


def copy_sqlite_file(source: Path, target: Path) -> None:
    """Copy an SQLite file over another one, even if a site has it open."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as destination:
        original.backup(destination)


Headers = Mapping[str, str]


async def headers_by_role(app: FastAPI) -> dict[str, Headers]:
    """Create sample rows and a user for each role, and return the request headers by role."""
    database = app.state.database
    users = {
        "owner": await insert_sample_rows(database, app.state.features),
        "user": await make_user(database),
        "staff": await make_user(database, is_staff=True),
        "superuser": await make_user(database, is_superuser=True),
    }
    return {"anonymous": {}} | {role: await session_headers(app, user) for role, user in users.items()}


async def session_headers(app: FastAPI, user: User) -> Headers:
    name, token = await session_cookie(app, user)
    return {"cookie": f"{name}={token}"}
