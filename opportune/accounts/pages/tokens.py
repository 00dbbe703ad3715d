"""Page of a user's tokens."""

from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.reauthentication.identity import reauthenticated
from opportune.accounts.responses import redirect_with_message, show
from opportune.accounts.schemas import TokenCreate
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.accounts.tokens.scopes import scope_labels, scope_rows
from opportune.accounts.tokens.service import UserTokens, create_token
from opportune.db.models.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.forms.form_state import Choices
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts/tokens")


@router.get("")
async def list_tokens(request: Request, user: CurrentUser, database: DatabaseDependency) -> Response:
    async with database.reader(fresh=True) as session:
        return await show_tokens(request, session, user, Form(TokenCreate, choices=list_scope_choices(request)))


@router.post("")
async def make_token(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    """Create a token and show it once."""
    form = await read_form(request, TokenCreate, choices=list_scope_choices(request))
    token = ""
    if data := await reauthenticated(context, user, form):
        if not await context.manager.is_unchanged(user):  # a concurrent change of the password must end all tokens
            raise make_sign_in_error(request)
        token = await create_token(context.session, user, data.name, timedelta(days=data.days), data.scopes)
        record_event(context, user, "token_created", name=data.name)
        form = Form(TokenCreate, choices=list_scope_choices(request))
    return await show_tokens(request, context.session, user, form, token)


@router.post("/{token_id}/revoke")
async def revoke_token(request: Request, token_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    deleted = await UserTokens(context.session, user.id).delete(token_id)
    record_event(context, user, "token_revoked", name=deleted.name)
    return redirect_with_message(request, "tokens", "The token has ended.")


def list_scope_choices(request: Request) -> Choices:
    return {"scopes": scope_labels(request.app)}


async def show_tokens(
    request: Request, session: AsyncSession, user: User, form: Form[Any], token: str = ""
) -> Response:
    rows = await UserTokens(session, user.id).list_valid()
    available = scope_rows(request.app)
    headers = SECRET_HEADERS if token else None
    return show(request, "tokens", headers=headers, form=form, tokens=rows, token=token, scope_rows=available)
