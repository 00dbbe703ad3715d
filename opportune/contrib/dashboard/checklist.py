"""Checklist of a new site on the overview of superusers, with the steps that features declare."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from fastapi import FastAPI
from starlette.requests import Request

from opportune.feature import SetupStep
from opportune.project.layout import PACKAGE, USERS

DOCUMENTATION = "/docs/"
"""Beginning of URLs of the documentation, which a site has in development only."""


class ChecklistItem(NamedTuple):
    step: SetupStep
    is_done: bool
    url: str
    command: str
    """Command that shows the page of the documentation, if the site has no such page."""


async def read_checklist(request: Request, dismissed: Collection[str]) -> list[ChecklistItem]:
    """Return the steps; empty if all are done or dismissed."""
    app: FastAPI = request.app
    steps = [step for feature in app.state.features for step in feature.admin.setup_steps if step.name not in dismissed]
    items = [_item(app, step, is_done=await step.is_done(app)) for step in steps]
    return items if any(not item.is_done for item in items) else []


def step_names(app: FastAPI) -> Sequence[str]:
    return [step.name for feature in app.state.features for step in feature.admin.setup_steps]


def _item(app: FastAPI, step: SetupStep, *, is_done: bool) -> ChecklistItem:
    if step.url.startswith(DOCUMENTATION) and not hasattr(app.state, "documentation"):
        return ChecklistItem(step, is_done, "", f"oppman.py docs {step.url.removeprefix(DOCUMENTATION)}")
    return ChecklistItem(step, is_done, step.url, "")


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
