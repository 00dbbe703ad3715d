"""The second factor."""

from collections.abc import Awaitable
from typing import TypeVar

from fastapi import APIRouter, HTTPException

from opportune.accounts.api.answers import invalid
from opportune.accounts.current import CurrentUser
from opportune.accounts.schemas import (
    RecoveryCodesRead,
    TwoFactorCredentials,
    TwoFactorEnable,
    TwoFactorRead,
    TwoFactorSetupRead,
    TwoFactorStart,
)
from opportune.accounts.two_factor import totp
from opportune.accounts.two_factor.setup import InvalidState, TwoFactorDependency, WrongCredential
from opportune.accounts.two_factor.totp import PendingSetup
from opportune.db.sessions.dependencies import ReadSession

T = TypeVar("T")

router = APIRouter(prefix="/users/me/two-factor", tags=["accounts"])


@router.get("")
async def show_factor(user: CurrentUser, session: ReadSession) -> TwoFactorRead:
    return TwoFactorRead(is_on=user.has_two_factor, recovery_codes_left=await totp.count_recovery_codes(session, user))


@router.post("", response_model=TwoFactorSetupRead)
async def begin(proof: TwoFactorStart, factor: TwoFactorDependency) -> PendingSetup:
    """A key for an authenticator app. It counts as soon as a code of it comes back."""
    return await _answer(factor.begin(proof.password))


@router.put("")
async def confirm(first: TwoFactorEnable, factor: TwoFactorDependency) -> RecoveryCodesRead:
    """Turn it on. All sessions and tokens of signing in end, but the one that asks; tokens with names stay."""
    return RecoveryCodesRead(recovery_codes=await _answer(factor.confirm(first.sealed, first.code)))


@router.delete("", status_code=204)
async def turn_off(proof: TwoFactorCredentials, factor: TwoFactorDependency) -> None:
    await _answer(factor.turn_off(proof.password, proof.code))


@router.post("/recovery-codes")
async def renew_codes(proof: TwoFactorCredentials, factor: TwoFactorDependency) -> RecoveryCodesRead:
    """New ones in place of the old ones."""
    return RecoveryCodesRead(recovery_codes=await _answer(factor.renew_codes(proof.password, proof.code)))


async def _answer(change: Awaitable[T]) -> T:
    try:
        return await change
    except WrongCredential as refusal:
        raise invalid(refusal.field, refusal.words) from None
    except InvalidState as refusal:
        raise HTTPException(409, str(refusal)) from None
