"""API of the user's own account: its data, events, export and deletion."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic_core import to_json

from opportune.accounts.dependencies import AccountCtx, CurrentUser, needs_scope
from opportune.accounts.events.service import describe_event, find_events, record_event
from opportune.accounts.flows.deletion import delete_account, read_personal_data
from opportune.accounts.flows.profile import change_password, check_email_change, request_email_change
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.reauthentication import require_password
from opportune.accounts.schemas import AccountEventRead, Reauthentication
from opportune.accounts.tokens.dependencies import require_scope
from opportune.accounts.tokens.scopes import MANAGE_ACCOUNT
from opportune.accounts.users.schemas import PROVED_FIELDS, UserRead, UserUpdate
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.pagination import Page, Paging
from opportune.web.client import describe_user_agent
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
        await require_password(context, user, body.current_password)
    if email:
        await check_email_change(context, user, email)
    if body.password is not None:
        user = await change_password(context, user, body.password)
    if email and await request_email_change(context, user, email):
        response.status_code = 202
    if project_fields := body.model_fields_set - PROVED_FIELDS:
        await context.manager.user_db.update(user, {name: getattr(body, name) for name in project_fields})
    return user


@router.get("/users/me/events")
async def list_events(
    user: CurrentUser, database: DatabaseDependency, paging: Annotated[Paging, Query()]
) -> Page[AccountEventRead]:
    """Return sign-ins and changes of the account, newest first."""
    async with database.reader(fresh=True) as session:
        page = await find_events(session, user, paging)
    items = [make_event_read(event) for event in page.items]
    return Page[AccountEventRead](items=items, total=page.total, page=page.page, pages=page.pages)


def make_event_read(event: AccountEvent) -> AccountEventRead:
    device = describe_user_agent(event.agent) if event.agent else ""
    by_staff = event.actor_id is not None
    return AccountEventRead(**event.model_dump(), words=describe_event(event), device=device, by_staff=by_staff)


@router.delete("/users/me", status_code=204)
async def delete_me(
    request: Request, body: Reauthentication, user: CurrentUser, database: DatabaseDependency, context: AccountCtx
) -> None:
    """Delete the account and all of its data. 409 for the last superuser."""
    await require_password(context, user, body.current_password)
    await delete_account(context, database, request.app.state.features, user)


@router.get("/users/me/export")
async def export_me(request: Request, user: CurrentUser, database: DatabaseDependency, context: AccountCtx) -> Response:
    """Export the user's data by feature and table."""
    record_event(context, user, "data_exported")
    async with database.reader() as session:
        rows = await read_personal_data(session, request.app.state.features, user)
    document = to_json(rows, bytes_mode="base64")
    return Response(document, headers={"Cache-Control": "no-store"}, media_type="application/json")
