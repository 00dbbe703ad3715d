"""Panels, operations and status checks added by a feature."""

from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.feature import Admin, AdminPanel, Feature, HealthLight, Monitoring
from opportune.web.rendering.template_errors import missing_feature_templates
from tests.opportune.admin.operations.pages import PAGE, flash_messages, read_entries

PANEL_TEMPLATE = "doctor/admin_operations.html"


def add_feature(app: FastAPI, **families: Any) -> None:
    app.state.features = [*app.state.features, Feature("stars", **families)]


async def show(_request: Request) -> dict[str, str]:
    return {}


async def hide(_request: Request) -> None:
    return None


async def test_panel_is_shown_to_superusers(app: FastAPI, admin: AsyncClient, staff_client: AsyncClient) -> None:
    add_feature(app, admin=Admin(panels=[AdminPanel("dashboard", PANEL_TEMPLATE, hide)]))
    assert "Examine the database" not in (await admin.get("/admin/")).text, "it has no context"
    add_feature(app, admin=Admin(panels=[AdminPanel("dashboard", PANEL_TEMPLATE, show)]))
    assert "Examine the database" in (await admin.get("/admin/")).text
    assert "Examine the database" not in (await staff_client.get("/admin/")).text


def test_panel_without_template_is_reported() -> None:
    feature = Feature("stars", admin=Admin(panels=[AdminPanel("dashboard", "stars/none.html")]))
    (line,) = missing_feature_templates([feature])
    assert line == "Feature('stars'): the template stars/none.html does not exist."


async def test_operation_of_a_feature_is_logged(app: FastAPI, operator: AsyncClient) -> None:
    async def count(_session: AsyncSession, _request: Request) -> str:
        return "Counted: 7 stars."

    add_feature(app, admin=Admin(actions={"count-stars": count}))
    await operator.post(f"{PAGE}/do/count-stars")
    assert await flash_messages(operator) == "Counted: 7 stars."
    assert ("count-stars", "Counted: 7 stars.") in await read_entries(app)


async def read_lights(_app: FastAPI) -> list[HealthLight]:
    return [HealthLight("Stars", "all shine")]


async def test_light_joins_an_existing_heading_or_comes_last(app: FastAPI, admin: AsyncClient) -> None:
    add_feature(app, monitoring=Monitoring(status={"Database": read_lights, "Sky": read_lights}))
    page = (await admin.get("/admin/status")).text
    assert page.index(">Database</h2>") < page.index("all shine") < page.index(">Jobs, mail and backups</h2>")
    assert page.index(">Language models</h2>") < page.index(">Sky</h2>") < page.rindex("all shine")
