"""API of the verification of an address."""

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.models import User
from opportune.accounts.responses import EMAIL_REQUESTED
from opportune.accounts.schemas import EmailRequest, EmailVerification, Message
from opportune.accounts.users.schemas import UserRead
from opportune.accounts.verification import service
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/auth", tags=["accounts"])


@router.post("/verify-request", status_code=202)
async def request_verification(body: EmailRequest, context: AccountCtx) -> Message:
    await service.request_verification(context, body.email)
    return Message(detail=str(EMAIL_REQUESTED))


@router.post("/verify", response_model=UserRead)
async def verify(body: EmailVerification, context: AccountCtx) -> User:
    """Verify an address by the token of an e-mail and the password. The token of a registration creates the account."""
    return await service.verify_email(context, body.token, body.password)
