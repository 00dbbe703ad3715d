"""Latest rows of models on the dashboard, and how many are new."""

import re
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.admin.models import SavedView
from opportune.admin.views import AdminView
from opportune.config.settings import Settings
from opportune.contrib.dashboard.latest import order_of_newest
from opportune.crud import Crud, Permission
from opportune.db.clock import utc_now
from opportune.feature import Admin, Feature
from opportune.jobs.models import LastRun
from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, GadgetAdmin, Maker, MakerAdmin
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows, make_staff


class SavedViewAdmin(AdminView, model=SavedView):
    pass


class Gadgets(Crud[Gadget]):
    """Only staff who may edit gadgets see when they were created."""

    read_permission = Permission.ANYONE

    def hidden_fields(self) -> Collection[str]:
        return () if self.may("update") else ("created_at",)


class TimelessGadgetAdmin(GadgetAdmin):
    crud = Gadgets


feature = Feature("gadgets", models=(Maker, Gadget), admin=Admin((TimelessGadgetAdmin, MakerAdmin, SavedViewAdmin)))


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with site_with(feature, settings) as app:
        await add_rows(app, Maker(id=1, name="Acme"))
        for number, days in enumerate((40, 35, 20, 10, 1, 0)):  # two in the range before
            at = utc_now() - timedelta(days=days)
            await add_rows(app, Gadget(name=f"gadget {number}", maker_id=1, created_at=at))
        yield app


def card(page: str, name: str) -> str:
    found = re.search(rf'<section class="card" aria-label="{name}">.*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def test_rows_without_a_time_are_the_last() -> None:
    at: Any = LastRun.succeeded_at
    assert str(order_of_newest(at)) == "jobs_last_run.succeeded_at DESC NULLS LAST"


@pytest.mark.database("sqlite", "postgresql")
async def test_card_compares_new_rows_with_the_range_before(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/?complete=1")).text
    assert 'aria-label="Gadgets by day: 4 from ' in page, "a project without a chart gets one"
    gadgets = card(page, "Gadgets")
    assert "<strong>4 new</strong>" in gadgets
    assert "2 in the period before" in gadgets
    assert "%" not in gadgets, "two rows are too few for a percentage"
    assert re.findall(r">Gadget (\d+)<", gadgets) == ["6", "5", "4", "3", "2"]


async def test_card_names_the_owner_of_a_row(app: FastAPI, superuser: User) -> None:
    await add_rows(app, SavedView(name="<b>Tea</b>", owner_id=superuser.id, identity="gadget"))
    views = card(await read_as_staff(app, "saved-view"), "Saved views")
    assert "&lt;b&gt;Tea&lt;/b&gt;" in views
    assert superuser.email in views
    assert "new</strong>" not in views, "it has no creation time"


async def test_counts_of_a_hidden_time_are_not_shared(app: FastAPI) -> None:
    staff = await make_staff(app, "gadget.list")
    async with signed_in_client(app, staff) as client:
        assert "new</strong>" not in card((await client.get("/admin/?complete=1")).text, "Gadgets")
        await add_permission(app.state.database, staff, "gadget", "update")
        assert "<strong>4 new</strong>" in card((await client.get("/admin/?complete=1")).text, "Gadgets")


async def read_as_staff(app: FastAPI, identity: str) -> str:
    async with signed_in_client(app, await make_staff(app, f"{identity}.list")) as client:
        return (await client.get("/admin/?complete=1")).text


async def test_hidden_rows_and_pages_are_not_linked(app: FastAPI) -> None:
    page = await read_as_staff(app, "gadget")
    assert ">Gadget 6</bdi>" in re.sub(r"\s+", " ", card(page, "Gadgets"))
    assert "/admin/gadget/details" not in page
    assert card(page, "Makers") == card(page, "Users") == ""
