"""API of registration, and of the links in e-mails, which verify an address or reset a password."""

from typing import Any

from fastapi.responses import JSONResponse

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.flows import registration
from opportune.accounts.models import User
from opportune.accounts.responses import EMAIL_REQUESTED
from opportune.accounts.schemas import EmailRequest, EmailVerification, Message, PasswordReset, UserCreate
from opportune.accounts.users.errors import EMAIL_TAKEN
from opportune.accounts.users.schemas import UserRead
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/auth", tags=["accounts"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": EMAIL_REQUESTED},
    403: {"description": registration.REGISTRATION_IS_CLOSED},
    409: {"description": EMAIL_TAKEN},
}


@router.post("/register", status_code=201, response_model=UserRead, responses=RESPONSES)
async def register(body: UserCreate, context: AccountCtx) -> Any:
    """Create an account.

    If the site sends e-mails, the status is always 202, and only the e-mail reveals whether the address has an account.
    Otherwise the account is created immediately (201), or the address already has an account (409).
    """
    user = await registration.register(context, body.email, body.password)
    return user or JSONResponse({"detail": EMAIL_REQUESTED}, 202)


@router.post("/verify-request", status_code=202)
async def request_verification(body: EmailRequest, context: AccountCtx) -> Message:
    await registration.request_verification(context, body.email)
    return Message(detail=str(EMAIL_REQUESTED))


@router.post("/verify", response_model=UserRead)
async def verify(body: EmailVerification, context: AccountCtx) -> User:
    """Verify an address by the token of an e-mail and the password. The token of a registration creates the account."""
    return await registration.verify_email(context, body.token, body.password)


@router.post("/forgot-password", status_code=202)
async def request_password_reset(body: EmailRequest, context: AccountCtx) -> Message:
    await registration.request_password_reset(context, body.email)
    return Message(detail=str(EMAIL_REQUESTED))


@router.post("/reset-password", response_model=UserRead)
async def reset_password(body: PasswordReset, context: AccountCtx) -> User:
    """Choose a new password, which ends every session and token."""
    return await registration.reset_password(context, body.token, body.password)
