"""The second factor."""

from collections.abc import Awaitable
from typing import TypeVar

from fastapi import APIRouter, HTTPException

from opportune.accounts import two_factor
from opportune.accounts.api.answers import invalid
from opportune.accounts.current import CurrentUser
from opportune.accounts.own.factor import Factor, Unfit, Unproven
from opportune.accounts.schemas import FactorBegun, FactorProof, FactorShown, FirstCode, PasswordProof, RecoveryCodes
from opportune.accounts.two_factor import Beginning
from opportune.db.sessions.dependencies import ReadSession

T = TypeVar("T")

router = APIRouter(prefix="/users/me/two-factor", tags=["accounts"])


@router.get("")
async def show_factor(user: CurrentUser, session: ReadSession) -> FactorShown:
    return FactorShown(is_on=user.has_two_factor, recovery_codes_left=await two_factor.codes_left(session, user))


@router.post("", response_model=FactorBegun)
async def begin(proof: PasswordProof, factor: Factor) -> Beginning:
    """A key for an authenticator app. It counts as soon as a code of it comes back."""
    return await _answer(factor.begin(proof.password))


@router.put("")
async def confirm(first: FirstCode, factor: Factor) -> RecoveryCodes:
    """Turn it on. All sessions and tokens of signing in end, but the one that asks; tokens with names stay."""
    return RecoveryCodes(recovery_codes=await _answer(factor.confirm(first.sealed, first.code)))


@router.delete("", status_code=204)
async def turn_off(proof: FactorProof, factor: Factor) -> None:
    await _answer(factor.turn_off(proof.password, proof.code))


@router.post("/recovery-codes")
async def renew_codes(proof: FactorProof, factor: Factor) -> RecoveryCodes:
    """New ones in place of the old ones."""
    return RecoveryCodes(recovery_codes=await _answer(factor.renew_codes(proof.password, proof.code)))


async def _answer(change: Awaitable[T]) -> T:
    try:
        return await change
    except Unproven as refusal:
        raise invalid(refusal.field, refusal.words) from None
    except Unfit as refusal:
        raise HTTPException(409, str(refusal)) from None
