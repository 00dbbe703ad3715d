"""Parts: a model whose list is edited in its cells, with `clean`, hooks and fields that some users may not change."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.views import AdminView
from opportune.db.models.model import utc_now
from opportune.feature import Admin, Feature
from tests.opportune.admin.gadget_feature import Gadget, Maker, MakerAdmin
from tests.opportune.tables import UnmigratedTable


class Part(UnmigratedTable, table=True):
    __tablename__ = "test_part"

    name: str = Field(max_length=20, unique=True)
    maker_id: int | None = Field(default=None, foreign_key="test_maker.id")
    state: Literal["new", "used"] = "new"
    price: Decimal = Field(default=Decimal(1), max_digits=8, decimal_places=2)
    is_ready: bool = False
    due_on: date | None = None
    seen_at: datetime | None = None
    tags: list[str] = Field(default_factory=list)
    saves: int = 0
    updated_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.name


class PartAdmin(AdminView, model=Part):
    columns = ("name", "maker_id", "state", "price", "is_ready", "due_on", "seen_at", "tags", "saves")
    editable = ("name", "maker_id", "state", "price", "is_ready", "due_on", "seen_at", "tags")
    order = ("id",)
    readonly = ("saves", "updated_at")

    def get_readonly_fields(self, request: Request, row: Any) -> Sequence[str]:
        user: User = request.state.user
        return () if user.is_superuser else ("price",)

    async def check_can_edit(self, request: Request, model: Any) -> bool:
        return await super().check_can_edit(request, model) and not (model and model.name == "sealed")

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        if values["state"] == "used" and values["is_ready"]:
            raise ValidationRefused("A used part is never ready.", "is_ready")
        return values

    async def before_save(self, session: AsyncSession, row: Part, request: Request, *, is_created: bool) -> None:
        if row.name == "cursed":
            raise ValidationRefused("This name brings bad luck.")
        row.saves += 1


parts = Feature("parts", "For tests.", models=(Maker, Gadget, Part), admin=Admin((MakerAdmin, PartAdmin)))
