"""Take along what the site knows of oneself, and leave it."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic_core import to_json

from opportune.accounts import sessions
from opportune.accounts.current import CurrentUser
from opportune.accounts.dependencies import Manager
from opportune.accounts.own import leaving
from opportune.accounts.pages.frame import confirmed, show
from opportune.accounts.schemas import Leaving
from opportune.db.model import utc_now
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.storage.storage import StorageDependency
from opportune.web.forms.forms import Form, read_form

router = APIRouter(prefix="/accounts")


@router.get("/data")
async def data(request: Request, _user: CurrentUser) -> Response:
    return show_data(request, Form(Leaving))


@router.get("/data/export")
async def export(
    request: Request, user: CurrentUser, database: DatabaseDependency, storage: StorageDependency
) -> Response:
    async with database.reader() as session:
        rows = await leaving.everything(session, request.app.state.features, user)
        names = await leaving.files(session, request.app.state.features, user)
    written = to_json(rows, indent=2)
    kind, content = ("zip", await leaving.pack(written, storage, names)) if names else ("json", written)
    name = f"my-data-{utc_now():%Y-%m-%d}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type=f"application/{kind}")


@router.post("/data/delete")
async def delete(request: Request, user: CurrentUser, database: DatabaseDependency, manager: Manager) -> Response:
    form = await read_form(request, Leaving)
    if form.data and form.data.email.lower() != user.email:
        form.refuse("Please type the address of this account.", "email")
    if await confirmed(request, manager, user, form):
        try:
            await leaving.leave(database, manager, request.app.state.settings, request.app.state.features, user)
        except leaving.StayError as error:
            form.refuse(str(error))
        else:
            response = RedirectResponse("/accounts/left", 303)
            await sessions.sign_out(manager.session, request, response)
            return response
    return show_data(request, form)


@router.get("/left")
async def left(request: Request) -> Response:
    return show(request, "left")


def show_data(request: Request, form: Form[Leaving]) -> Response:
    kept = [each.personal_data.summary for each in request.app.state.features if each.personal_data]
    return show(request, "data", form.status, form=form, kept=kept)
