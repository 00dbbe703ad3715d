"""API of a user's passkeys. Passkeys are added and used on pages, because that needs a browser."""

from collections.abc import Sequence

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.models import Passkey
from opportune.accounts.passkeys import service
from opportune.accounts.reauthentication.identity import check_full_identity
from opportune.accounts.schemas import Confirmation, PasskeyRead, PasskeyUpdate
from opportune.accounts.sign_in_methods.passkeys import find_passkeys
from opportune.db.models.model import RowId
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/passkeys", tags=["accounts"])


@router.get("", response_model=list[PasskeyRead])
async def list_passkeys(user: CurrentUser, session: ReadSession) -> Sequence[Passkey]:
    """Return the user's passkeys, oldest first."""
    return await find_passkeys(session, user)


@router.patch("/{passkey_id}", status_code=204)
async def update_passkey(passkey_id: RowId, body: PasskeyUpdate, user: CurrentUser, session: WriteSession) -> None:
    await service.update_passkey(session, user, passkey_id, body.name)


@router.delete("/{passkey_id}", status_code=204)
async def delete_passkey(passkey_id: RowId, proof: Confirmation, user: CurrentUser, context: AccountCtx) -> None:
    """Remove a passkey. 409 for the last sign-in method."""
    await check_full_identity(context, user, proof)
    await service.delete_passkey(context, user, passkey_id)
