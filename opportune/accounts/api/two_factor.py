"""API of the authenticator app and the recovery codes."""

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.schemas import (
    RecoveryCodesRead,
    TwoFactorCredentials,
    TwoFactorEnable,
    TwoFactorRead,
    TwoFactorSetupRead,
    TwoFactorStart,
)
from opportune.accounts.sign_in_methods.second_factor import PendingSetup, count_recovery_codes
from opportune.accounts.two_factor.dependencies import TwoFactorDependency
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/two-factor", tags=["accounts"])


@router.get("")
async def get_two_factor(user: CurrentUser, session: ReadSession) -> TwoFactorRead:
    codes_left = await count_recovery_codes(session, user)
    return TwoFactorRead(is_on=user.has_two_factor, recovery_codes_left=codes_left)


@router.post("", response_model=TwoFactorSetupRead)
async def start(body: TwoFactorStart, setup: TwoFactorDependency) -> PendingSetup:
    """Create a key for an authenticator app. It is stored after `PUT` with its first code."""
    return await setup.start(body.password)


@router.put("")
async def enable(body: TwoFactorEnable, setup: TwoFactorDependency) -> RecoveryCodesRead:
    """Turn on the app. Other sessions and tokens of sign-ins end. Tokens that the user created stay."""
    return RecoveryCodesRead(recovery_codes=await setup.enable(body.sealed, body.code))


@router.delete("", status_code=204)
async def disable(proof: TwoFactorCredentials, setup: TwoFactorDependency) -> None:
    await setup.disable(proof.password, proof.code)


@router.post("/recovery-codes")
async def renew_recovery_codes(proof: TwoFactorCredentials, setup: TwoFactorDependency) -> RecoveryCodesRead:
    """Replace the recovery codes."""
    return RecoveryCodesRead(recovery_codes=await setup.renew_recovery_codes(proof.password, proof.code))
