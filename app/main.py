"""The application: `python3 oppman.py runserver`, `fastapi dev`, or `uvicorn app.main:app`."""

from fastapi import FastAPI

from app.installed import INSTALLED
from opportune import application
from opportune.config import Settings, get_settings

app: FastAPI
"""The site, for `fastapi` and `uvicorn`. Created on first use, because commands also import this module."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the site. Add routers, middleware and mounts that belong to no feature here."""
    return application.create_app(settings or get_settings(), INSTALLED)


application.create_on_first_use(globals())
