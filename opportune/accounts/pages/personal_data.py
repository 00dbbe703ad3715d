"""Pages of a user's data: the account events, the export and the deletion of the account."""

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated

from fastapi import Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic_core import to_json

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.kinds import KINDS
from opportune.accounts.events.service import describe_event, find_events, record_event
from opportune.accounts.flows import deletion
from opportune.accounts.reauthentication import reauthenticated
from opportune.accounts.responses import show, show_errors_in
from opportune.accounts.schemas import AccountDeletion
from opportune.accounts.sessions import cookies
from opportune.config.email_domains import normalize_email
from opportune.db.clock import utc_now
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.i18n import gettext
from opportune.pagination import Paging
from opportune.storage.storage import StorageDependency
from opportune.web.client import describe_user_agent
from opportune.web.forms.forms import Form, read_form
from opportune.web.routing.api_router import APIRouter
from opportune.web.streaming import ClosingResponse, read_parts

router = APIRouter(prefix="/accounts")


@router.get("/events")
async def list_events(
    request: Request, user: CurrentUser, database: DatabaseDependency, paging: Annotated[Paging, Query()]
) -> Response:
    async with database.reader(fresh=True) as session:
        page = await find_events(session, user, paging)
    days = request.app.state.settings.account_event_days
    return show(
        request, "events", page=page, kinds=KINDS, words=describe_event, describe=describe_user_agent, days=days
    )


@router.get("/data")
async def show_personal_data(request: Request, _user: CurrentUser) -> Response:
    return render_personal_data(request, Form(AccountDeletion))


async def open_temporary_file() -> AsyncIterator[IO[bytes]]:
    """Open a file until the response is sent, or the visitor has left."""
    with tempfile.TemporaryFile() as file:
        yield file


@router.get("/data/export")
async def export_personal_data(
    request: Request,
    user: CurrentUser,
    database: DatabaseDependency,
    storage: StorageDependency,
    context: AccountCtx,
    archive: Annotated[IO[bytes], Depends(open_temporary_file)],
) -> Response:
    async with database.reader() as session:
        rows = await deletion.read_personal_data(session, request.app.state.features, user)
        names = await deletion.list_stored_files(session, request.app.state.features, user)
    record_event(context, user, "data_exported")
    document = to_json(rows, indent=2, bytes_mode="base64")
    suffix = "zip" if names else "json"
    filename = f"my-data-{utc_now():%Y-%m-%d}.{suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}
    if not names:
        return Response(document, headers=headers, media_type="application/json")
    await deletion.write_archive(archive, document, storage, names)
    return ClosingResponse(read_parts(archive), headers=headers, media_type="application/zip")


@router.post("/data/delete")
async def delete_personal_data(
    request: Request, user: CurrentUser, database: DatabaseDependency, context: AccountCtx
) -> Response:
    form = await read_form(request, AccountDeletion)
    if form.data and normalize_email(form.data.email) != normalize_email(user.email):
        form.refuse("Please enter the address of this account.", "email")
    if await reauthenticated(context, user, form):
        try:
            async with show_errors_in(form, context.session):
                await deletion.delete_account(context, database, request.app.state.features, user)
                response = RedirectResponse("/accounts/left", 303)
                await cookies.sign_out(context.session, request, response)
                return response
        except deletion.DeletionRefused as refusal:
            form.refuse(str(refusal))
    return render_personal_data(request, form)


@router.get("/left")
async def show_account_deleted(request: Request) -> Response:
    return show(request, "account_deleted")


def render_personal_data(request: Request, form: Form[AccountDeletion]) -> Response:
    summaries = [gettext(data.summary) for data in deletion.personal_data_of(request.app.state.features)]
    return show(request, "personal_data", form=form, summaries=summaries)
