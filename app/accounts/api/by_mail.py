"""Prove an address, and get back in. Whoever asks for a letter gets the same answer, whether or not there is one."""

from fastapi import APIRouter, HTTPException, Request

from app.accounts import by_mail
from app.accounts.api.answers import ASKED, invalid
from app.accounts.dependencies import Manager
from app.accounts.manager import InvalidPasswordException
from app.accounts.models import User
from app.accounts.schemas import Address, Answer, MailedToken, PasswordReset, UserShown

router = APIRouter(prefix="/auth")

BROKEN = "This link is not ours, too old, or has been used."


@router.post("/verify-request", status_code=202)
async def ask_verification(request: Request, wanted: Address, manager: Manager) -> Answer:
    await by_mail.ask_verification(request, manager, wanted.email)
    return Answer(detail=ASKED)


@router.post("/verify", response_model=UserShown)
async def verify(request: Request, mailed: MailedToken, manager: Manager) -> User:
    """Prove an address by the token of a letter; the one of a registration makes the account."""
    user = await by_mail.verify(manager, request.app.state.settings, mailed.token)
    if user is None:
        raise HTTPException(410, BROKEN)
    return user


@router.post("/forgot-password", status_code=202)
async def ask_reset(request: Request, wanted: Address, manager: Manager) -> Answer:
    await by_mail.ask_reset(request, manager, wanted.email)
    return Answer(detail=ASKED)


@router.post("/reset-password", response_model=UserShown)
async def reset(request: Request, wanted: PasswordReset, manager: Manager) -> User:
    """Choose a new password, which ends every session and token."""
    try:
        user = await by_mail.reset(manager, request.app.state.settings, wanted.token, wanted.password)
    except InvalidPasswordException as error:
        raise invalid("password", error.reason) from None
    if user is None:
        raise HTTPException(410, BROKEN)
    return user
