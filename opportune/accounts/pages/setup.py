"""Pages to create the first superuser, opened by a link from the log."""

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import setup
from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.responses import show, show_errors_in, show_password_error
from opportune.accounts.schemas import FirstSuperuserCreate
from opportune.accounts.sessions import cookies
from opportune.accounts.sessions.service import set_confirmed_at
from opportune.accounts.users.errors import EmailTakenError
from opportune.db import utc_now
from opportune.errors import NotFound
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter


async def require_no_superuser(request: Request) -> None:
    async with request.app.state.database.reader(fresh=True) as session:
        if await setup.has_superuser(session):
            raise NotFound


router = APIRouter(prefix="/accounts", dependencies=[Depends(require_no_superuser)])


@router.get("/setup")
async def show_setup(request: Request, token: str = "") -> Response:
    if not setup.is_valid_token(request.app.state.settings, token):
        return await _show_invalid_link(request)
    return _show(request, Form(FirstSuperuserCreate, {"email": request.app.state.settings.admin_email, "token": token}))


@router.post("/setup")
async def set_up(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, FirstSuperuserCreate)
    if not setup.is_valid_token(request.app.state.settings, form.value("token")):
        return await _show_invalid_link(request)
    if not form.data:
        await show_password_error(request, context, form, "password")
        return _show(request, form)
    try:
        async with show_errors_in(form, context.session):
            user = await setup.create_first_superuser(context.session, form.data.email, form.data.password)
            response = RedirectResponse(await _next_page(request), 303)
            await cookies.start_session(context.session, user, request, response)
            await set_confirmed_at(context.session, user, utc_now())  # the user has just typed the password
            flash(request, "Welcome! You are the first superuser of this site.")
            return response
    except EmailTakenError:
        form.refuse("This e-mail was registered at the same moment. Please send the form again.", "email")
    return _show(request, form)


async def _next_page(request: Request) -> str:
    """Return the path of the first setup page of a feature, else that of the admin."""
    for feature in request.app.state.features:
        if feature.admin.setup_page and (path := await feature.admin.setup_page(request.app)):
            return str(path)
    return "/admin"


async def _show_invalid_link(request: Request) -> Response:
    await setup.send_invitation(request.app)
    context = {"is_emailed": setup.invitation_is_emailed(request.app.state.settings)}
    return templates.render(request, "accounts/setup_link.html", context, 403)


def _show(request: Request, form: Form[FirstSuperuserCreate]) -> Response:
    return show(request, "setup", headers=SECRET_HEADERS, form=form)
