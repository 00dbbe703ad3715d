"""API of second factors, passkeys and linked accounts, and of the confirmation of the user's identity.

Passkeys and linked accounts are added on pages, because that needs a browser. The confirmation needs the session
cookie: it is for scripts of the site's pages.
"""

from collections.abc import Sequence

from fastapi import Depends, HTTPException, Request

from opportune.accounts import reauthentication, schemas
from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.flows import confirmation, social_sign_in
from opportune.accounts.models import LinkedAccount, Passkey
from opportune.accounts.sign_in_methods import passkeys
from opportune.accounts.sign_in_methods.available import find_linked_accounts
from opportune.accounts.sign_in_methods.second_factor import PendingSetup, count_recovery_codes
from opportune.accounts.two_factor_dependency import TwoFactorDependency
from opportune.db.models.row_ids import RowId
from opportune.db.sessions.dependencies import DatabaseDependency, ReadSession, WriteSession
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me", tags=["accounts"])
BY_EMAIL = [Depends(reauthentication.require_email_confirmation)]

NO_SESSION = _l("A token cannot be confirmed. Send `current_password` with each request that needs it.")


@router.get("/two-factor")
async def get_two_factor(user: CurrentUser, session: ReadSession) -> schemas.TwoFactorRead:
    codes_left = await count_recovery_codes(session, user)
    return schemas.TwoFactorRead(is_on=user.has_two_factor, recovery_codes_left=codes_left)


@router.post("/two-factor", response_model=schemas.TwoFactorSetupRead)
async def start(body: schemas.TwoFactorStart, setup: TwoFactorDependency) -> PendingSetup:
    """Create a key for an authenticator app. It is stored after `PUT` with its first code."""
    return await setup.start(body.password)


@router.put("/two-factor")
async def enable(body: schemas.TwoFactorEnable, setup: TwoFactorDependency) -> schemas.RecoveryCodesRead:
    """Turn on the app. Other sessions and tokens of sign-ins end. Tokens that the user created stay."""
    return schemas.RecoveryCodesRead(recovery_codes=await setup.enable(body.sealed, body.code))


@router.delete("/two-factor", status_code=204)
async def disable(proof: schemas.TwoFactorCredentials, setup: TwoFactorDependency) -> None:
    await setup.disable(proof.password, proof.code)


@router.post("/two-factor/recovery-codes")
async def renew_recovery_codes(
    proof: schemas.TwoFactorCredentials, setup: TwoFactorDependency
) -> schemas.RecoveryCodesRead:
    """Replace the recovery codes."""
    return schemas.RecoveryCodesRead(recovery_codes=await setup.renew_recovery_codes(proof.password, proof.code))


@router.get("/passkeys", response_model=list[schemas.PasskeyRead])
async def list_passkeys(user: CurrentUser, session: ReadSession) -> Sequence[Passkey]:
    """Return the user's passkeys, oldest first."""
    return await passkeys.find_passkeys(session, user)


@router.patch("/passkeys/{passkey_id}", status_code=204)
async def update_passkey(
    passkey_id: RowId, body: schemas.PasskeyUpdate, user: CurrentUser, session: WriteSession
) -> None:
    await passkeys.update_passkey(session, user, passkey_id, body.name)


@router.delete("/passkeys/{passkey_id}", status_code=204)
async def delete_passkey(
    passkey_id: RowId, proof: schemas.Confirmation, user: CurrentUser, context: AccountCtx
) -> None:
    """Remove a passkey. 409 for the last sign-in method."""
    await reauthentication.require_identity(context, user, proof)
    await passkeys.delete_passkey(context, user, passkey_id)


@router.get("/linked-accounts", response_model=list[schemas.LinkedAccountRead])
async def list_linked_accounts(user: CurrentUser, database: DatabaseDependency) -> Sequence[LinkedAccount]:
    async with database.reader(fresh=True) as session:
        return await find_linked_accounts(session, user)


@router.delete("/linked-accounts/{account_id}", status_code=204)
async def unlink(account_id: RowId, proof: schemas.Confirmation, user: CurrentUser, context: AccountCtx) -> None:
    """Unlink an account. 409 for the last sign-in method."""
    await reauthentication.require_identity(context, user, proof)
    await social_sign_in.unlink(context, user, account_id)


@router.post("/confirmation", status_code=204)
async def confirm(request: Request, body: schemas.Confirmation, user: CurrentUser, context: AccountCtx) -> None:
    """Confirm the user's identity. This session does not ask again for 15 minutes."""
    if request.state.session is None:
        raise HTTPException(409, NO_SESSION)
    await reauthentication.confirm_identity(context, user, body)


@router.post("/confirmation/email", status_code=202, dependencies=BY_EMAIL)
async def send_email(request: Request, user: CurrentUser, context: AccountCtx) -> schemas.Message:
    """Send a code to a user without a password, to confirm their identity."""
    await confirmation.send_confirmation_email(context, user, request.state.session)
    return schemas.Message(detail=_("An e-mail with a code is on its way to %(email)s.", email=user.email))


@router.post("/confirmation/email/code", status_code=204, dependencies=BY_EMAIL)
async def confirm_code(
    request: Request, body: schemas.EmailConfirmationCode, user: CurrentUser, context: AccountCtx
) -> None:
    """Confirm the user's identity. This session does not ask again for 15 minutes."""
    await reauthentication.confirm_by_email(request, context, user, body)
