"""Prove an address, and get back in. Whoever asks for a letter gets the same answer, whether or not there is one."""

from fastapi import APIRouter, HTTPException, Request

from opportune.accounts import by_mail
from opportune.accounts.api.answers import ASKED, invalid
from opportune.accounts.dependencies import Manager
from opportune.accounts.manager import PasswordError
from opportune.accounts.models import User
from opportune.accounts.schemas import Address, Answer, PasswordReset, Proof, UserShown

router = APIRouter(prefix="/auth", tags=["accounts"])

BROKEN = "This link is not ours, too old, or has been used."


@router.post("/verify-request", status_code=202)
async def ask_verification(request: Request, wanted: Address, manager: Manager) -> Answer:
    await by_mail.ask_verification(request, manager, wanted.email)
    return Answer(detail=ASKED)


@router.post("/verify", response_model=UserShown)
async def verify(request: Request, proof: Proof, manager: Manager) -> User:
    """Prove an address by the token of a letter and the password. The token of a registration makes the account."""
    try:
        user = await by_mail.verify(request, manager, proof)
    except PasswordError as error:
        raise invalid("password", str(error)) from None
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
    except PasswordError as error:
        raise invalid("password", str(error)) from None
    if user is None:
        raise HTTPException(410, BROKEN)
    return user
