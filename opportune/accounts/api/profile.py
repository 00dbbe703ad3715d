"""API of the user's own account."""

from fastapi import Request, Response

from opportune.accounts.dependencies import AccountCtx, CurrentUser, needs_scope
from opportune.accounts.models import User
from opportune.accounts.profile.service import change_password, check_email_change, request_email_change, update_profile
from opportune.accounts.reauthentication.identity import confirm_password
from opportune.accounts.tokens.dependencies import require_scope
from opportune.accounts.tokens.scopes import MANAGE_ACCOUNT
from opportune.accounts.users.schemas import PROVED_FIELDS, UserRead, UserUpdate
from opportune.web.routing.api_router import APIRouter

router = APIRouter(tags=["accounts"])


@router.get("/users/me", response_model=UserRead, dependencies=[needs_scope("accounts:read")])
async def get_me(user: CurrentUser) -> User:
    return user


@router.patch(
    "/users/me",
    response_model=UserRead,
    responses={202: {"model": UserRead}},
    dependencies=[needs_scope("accounts:write")],
)
async def update_me(
    request: Request, response: Response, body: UserUpdate, user: CurrentUser, context: AccountCtx
) -> User:
    """Change the given fields. To change e-mail or password, also send the current password.

    This needs a token with the scope `accounts:manage`. A new password ends all sessions and tokens. If a new e-mail
    must be verified first, the status is 202, and the user gets an e-mail with a link.
    """
    email = None if body.email == user.email else body.email
    if email or body.password is not None:
        require_scope(request, MANAGE_ACCOUNT)
        await confirm_password(context, user, body.current_password)
    if email:
        await check_email_change(context, user, email)
    if body.password is not None:
        user = await change_password(context, user, body.password)
    if email and await request_email_change(context, user, email):
        response.status_code = 202
    if project_fields := body.model_fields_set - PROVED_FIELDS:
        await update_profile(context, user, {name: getattr(body, name) for name in project_fields})
    return user
