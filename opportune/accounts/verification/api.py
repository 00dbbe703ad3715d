"""Prove an address. Whoever asks for an e-mail gets the same answer, whether or not there is one."""

from fastapi import APIRouter, HTTPException

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.models import User
from opportune.accounts.responses import EMAIL_REQUESTED, INVALID_LINK, invalid_field
from opportune.accounts.schemas import EmailRequest, EmailVerification, Message
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.accounts.users.schemas import UserRead
from opportune.accounts.verification import service

router = APIRouter(prefix="/auth", tags=["accounts"])


@router.post("/verify-request", status_code=202)
async def request_verification(wanted: EmailRequest, context: AccountCtx) -> Message:
    await service.request_verification(context, wanted.email)
    return Message(detail=EMAIL_REQUESTED)


@router.post("/verify", response_model=UserRead)
async def verify(proof: EmailVerification, context: AccountCtx) -> User:
    """Prove an address by the token of an e-mail and the password. The token of a registration makes the account."""
    try:
        user = await service.verify_email(context, proof.token, proof.password)
    except InvalidPasswordError as error:
        raise invalid_field("password", str(error)) from None
    if user is None:
        raise HTTPException(410, INVALID_LINK)
    return user
