"""Steps of the checklist for a new site that belong to no other part."""

from fastapi import FastAPI

from opportune.project.layout import PACKAGE, USERS


async def has_models_of_project(app: FastAPI) -> bool:
    """Return whether a feature of the project has a model. Users and examples do not count.

    Examples have demonstration data.
    """
    return any(
        model.__module__.startswith(f"{PACKAGE}.")
        for feature in app.state.features
        if feature.name != USERS and not feature.data.demo
        for model in feature.models
    )


async def is_deployed(app: FastAPI) -> bool:
    return bool(app.state.settings.is_production)
