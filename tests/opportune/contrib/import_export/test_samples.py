"""Sample files for an import."""

from datetime import time, timedelta
from typing import Any
from uuid import UUID

from httpx2 import AsyncClient
from sqlalchemy import JSON
from sqlmodel import Field

from opportune.admin import AdminView
from opportune.feature import Admin, Feature
from tests.opportune.contrib.import_export import import_steps
from tests.opportune.site_with import site_fixture
from tests.opportune.tables import UnmigratedTable


class Shop(UnmigratedTable, table=True):
    code: str = Field(max_length=1, unique=True)
    opens_at: time
    pause: timedelta
    key: UUID
    stock: dict[str, Any] = Field(sa_type=JSON)


class ShopAdmin(AdminView, model=Shop):
    can_import = True


app = site_fixture(Feature("shops", models=(Shop,), admin=Admin((ShopAdmin,))))


async def test_sample_can_be_imported(admin: AsyncClient) -> None:
    sample = await admin.get("/admin/shop/import/sample.csv")
    preview = await import_steps.upload_file(admin, "/admin/shop/import", sample.content)
    assert "Import 2 shops" in preview.text, (sample.text, import_steps.extract_text(preview)[:1500])
