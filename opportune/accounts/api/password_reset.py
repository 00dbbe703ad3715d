"""API of the password reset."""

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.models import User
from opportune.accounts.password_reset import service
from opportune.accounts.responses import EMAIL_REQUESTED
from opportune.accounts.schemas import EmailRequest, Message, PasswordReset
from opportune.accounts.users.schemas import UserRead
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/auth", tags=["accounts"])


@router.post("/forgot-password", status_code=202)
async def request_password_reset(body: EmailRequest, context: AccountCtx) -> Message:
    await service.request_password_reset(context, body.email)
    return Message(detail=str(EMAIL_REQUESTED))


@router.post("/reset-password", response_model=UserRead)
async def reset_password(body: PasswordReset, context: AccountCtx) -> User:
    """Choose a new password, which ends every session and token."""
    return await service.reset_password(context, body.token, body.password)
