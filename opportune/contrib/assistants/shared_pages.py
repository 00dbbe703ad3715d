"""Pages of rows that belong to a user, a team or the site."""

from types import MappingProxyType
from typing import Any

from fastapi import Request

from opportune.contrib.assistants.models import AUDIENCES
from opportune.crud import CrudPages
from opportune.crud.page_options import M
from opportune.web import Form


class SharedPages(CrudPages[M]):
    formats = MappingProxyType({"shared_with": lambda audience: str(AUDIENCES[audience])})

    async def _form(self, request: Request, crud: Any, row: Any = None) -> Form[Any]:
        form = await super()._form(request, crud, row)
        offered = {*crud.audiences, *([row.shared_with] if row else [])}
        audiences = {audience: label for audience, label in AUDIENCES.items() if audience in offered}
        if len(audiences) == 1:
            form.leave_out(["shared_with"])
        else:
            form.offer({"shared_with": audiences})
        return form
