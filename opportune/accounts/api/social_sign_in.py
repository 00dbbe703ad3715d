"""API of linked accounts at other sites. They are linked in a browser, on the profile page."""

from collections.abc import Sequence

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.models import LinkedAccount
from opportune.accounts.schemas import LinkedAccountRead
from opportune.accounts.sign_in_methods.available import find_linked_accounts
from opportune.accounts.social_sign_in import service
from opportune.db.models.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/linked-accounts", tags=["accounts"])


@router.get("", response_model=list[LinkedAccountRead])
async def list_linked_accounts(user: CurrentUser, database: DatabaseDependency) -> Sequence[LinkedAccount]:
    async with database.reader(fresh=True) as session:
        return await find_linked_accounts(session, user)


@router.delete("/{account_id}", status_code=204)
async def unlink(account_id: RowId, user: CurrentUser, context: AccountCtx) -> None:
    """Unlink an account. 409 for the last sign-in method."""
    await service.unlink(context, user, account_id)
