"""JSON API of assistants, to choose one."""

from typing import Annotated, Any

from fastapi import Query

from opportune.contrib.assistants.service import Assistants
from opportune.crud import reading
from opportune.pagination import Page
from opportune.web import APIRouter

router = APIRouter(prefix="/assistants", tags=["assistants"])


@router.get("", response_model=Page[Assistants.Read])
async def list_assistants(
    assistants: Annotated[Assistants, reading(Assistants, "list")], query: Annotated[Assistants.Filter, Query()]
) -> Page[dict[str, Any]]:
    """List the assistants that the user may use. Their instructions are not part of it."""
    return await assistants.list_values(query)
