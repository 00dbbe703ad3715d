"""Form fields of a view that have no column, such as the groups of a user."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.sqladmin_adapter import AdapterView


class FormExtension:
    """Changes the form of a view, and stores the values of fields without a column. By default there are none."""

    names: ClassVar[Sequence[str]] = ()
    """Fields without a column, whose values `save` stores."""

    def __init__(self, view: AdapterView) -> None:
        self.view = view

    async def extend(self, form: type[AdminForm], request: Request, *, creating: bool) -> type[AdminForm]:
        """Return the form with additional fields, or without some."""
        return form

    async def save(
        self, session: AsyncSession, request: Request, row: Any, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Store the values of `names` that were sent. Return the changes for the log."""
        return {}
