"""Time at which the admin is built: on first use, or at the start in development and tests."""

from typing import Any

import pytest
from fastapi import FastAPI

from opportune.admin.site import AdminSite
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.errors import OperatorError
from opportune.feature import Admin, Feature
from opportune.project.layout import installed_features
from opportune.testing import make_user, signed_in_client
from opportune.testing.plugin import settings_for


def production_settings() -> Settings:
    return settings_for("sqlite:///unused.db").model_copy(update={"environment": "production", "debug": False})


@pytest.mark.parametrize(
    ("settings", "is_built"), [(production_settings(), False), (settings_for("sqlite:///unused.db"), True)]
)
def test_production_builds_the_admin_on_first_use(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, is_built: bool
) -> None:
    sites: list[AdminSite] = []
    initialize = AdminSite.__init__

    def record(admin: AdminSite, *arguments: Any) -> None:
        sites.append(admin)
        initialize(admin, *arguments)

    monkeypatch.setattr(AdminSite, "__init__", record)
    app = create_app(settings)
    assert bool(sites) is is_built
    assert app.url_path_for("admin:list", identity="user") == "/admin/user/list"
    assert len(sites) == 1


def test_missing_admin_module_is_refused() -> None:
    feature = Feature("lost", admin=Admin("opportune.lost.admin"))
    with pytest.raises(OperatorError) as error:
        create_app(settings_for("sqlite:///unused.db"), [*installed_features(), feature])
    assert str(error.value) == "Feature('lost', admin=Admin('opportune.lost.admin')): this module does not exist."


async def test_head_of_a_page_that_acts_on_post_changes_nothing(app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await make_user(database, is_superuser=True)) as admin:
        pages = [await admin.request(method, "/admin/llm/provider") for method in ("GET", "HEAD")]
    assert [page.headers["location"] for page in pages] == ["/accounts/confirm?next=/admin/llm/provider"] * 2
    assert "set-cookie" not in pages[1].headers
