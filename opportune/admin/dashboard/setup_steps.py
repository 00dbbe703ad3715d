"""Steps of the checklist for a new site that belong to no other part."""

from fastapi import FastAPI

from opportune.config.project import PACKAGE

EXAMPLE_FEATURES = {"chat", "events", "todos", "users"}
"""Features of a new project that have models."""


async def has_models_of_project(app: FastAPI) -> bool:
    """Return whether the project has a model that is not one of the examples."""
    return any(
        model.__module__.startswith(f"{PACKAGE}.")
        for feature in app.state.features
        if feature.name not in EXAMPLE_FEATURES
        for model in feature.models
    )


async def is_deployed(app: FastAPI) -> bool:
    return bool(app.state.settings.is_production)
