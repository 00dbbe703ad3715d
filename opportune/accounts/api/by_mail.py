"""Prove an address, and get back in. Whoever asks for a letter gets the same answer, whether or not there is one."""

from fastapi import APIRouter, HTTPException, Request

from opportune.accounts import email_flows
from opportune.accounts.api.answers import EMAIL_REQUESTED, invalid
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import InvalidPasswordError
from opportune.accounts.models import User
from opportune.accounts.schemas import EmailRequest, EmailVerification, Message, PasswordReset, UserRead

router = APIRouter(prefix="/auth", tags=["accounts"])

INVALID_LINK = "This link is not ours, too old, or has been used."


@router.post("/verify-request", status_code=202)
async def ask_verification(request: Request, wanted: EmailRequest, manager: UserManagerDependency) -> Message:
    await email_flows.request_verification(request, manager, wanted.email)
    return Message(detail=EMAIL_REQUESTED)


@router.post("/verify", response_model=UserRead)
async def verify(request: Request, proof: EmailVerification, manager: UserManagerDependency) -> User:
    """Prove an address by the token of a letter and the password. The token of a registration makes the account."""
    try:
        user = await email_flows.verify_email(request, manager, proof)
    except InvalidPasswordError as error:
        raise invalid("password", str(error)) from None
    if user is None:
        raise HTTPException(410, INVALID_LINK)
    return user


@router.post("/forgot-password", status_code=202)
async def ask_reset(request: Request, wanted: EmailRequest, manager: UserManagerDependency) -> Message:
    await email_flows.request_password_reset(request, manager, wanted.email)
    return Message(detail=EMAIL_REQUESTED)


@router.post("/reset-password", response_model=UserRead)
async def reset(request: Request, wanted: PasswordReset, manager: UserManagerDependency) -> User:
    """Choose a new password, which ends every session and token."""
    try:
        user = await email_flows.reset_password(manager, request.app.state.settings, wanted.token, wanted.password)
    except InvalidPasswordError as error:
        raise invalid("password", str(error)) from None
    if user is None:
        raise HTTPException(410, INVALID_LINK)
    return user
