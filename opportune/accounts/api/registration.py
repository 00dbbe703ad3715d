"""API of registration."""

from typing import Any

from fastapi.responses import JSONResponse

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.registration import service
from opportune.accounts.registration.service import REGISTRATION_IS_CLOSED
from opportune.accounts.responses import EMAIL_REQUESTED
from opportune.accounts.schemas import UserCreate
from opportune.accounts.users.errors import EMAIL_TAKEN
from opportune.accounts.users.schemas import UserRead
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/auth", tags=["accounts"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": EMAIL_REQUESTED},
    403: {"description": REGISTRATION_IS_CLOSED},
    409: {"description": EMAIL_TAKEN},
}


@router.post("/register", status_code=201, response_model=UserRead, responses=RESPONSES)
async def register(body: UserCreate, context: AccountCtx) -> Any:
    """Create an account.

    If the site sends e-mails, the status is always 202, and only the e-mail reveals whether the address has an account.
    Otherwise the account is created immediately (201), or the address already has an account (409).
    """
    user = await service.register(context, body.email, body.password)
    return user or JSONResponse({"detail": EMAIL_REQUESTED}, 202)
