"""The application: `python3 oppman.py runserver`, or `uvicorn --factory app.main:create_app`."""

from fastapi import FastAPI

from app.installed import INSTALLED
from opportune import application
from opportune.config import Settings, get_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the site. Add routers, middleware and mounts that belong to no feature here."""
    return application.create_app(settings or get_settings(), INSTALLED)
