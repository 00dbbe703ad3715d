"""Sign in and out."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts import sessions
from app.accounts.current import OptionalUser
from app.accounts.dependencies import Manager
from app.accounts.pages.answers import show, signed_in, to_next
from app.accounts.schemas import Credentials, SignIn
from app.core.db.session import WriteSession
from app.core.web.forms import Form, read_form

router = APIRouter()


@router.get("/login")
async def login(request: Request, user: OptionalUser) -> Response:
    return to_next(request) if user else show(request, "login", Form(SignIn))


@router.post("/login")
async def sign_in(request: Request, manager: Manager) -> Response:
    form = await read_form(request, SignIn)
    if form.data:
        credentials = Credentials(form.data.email, form.data.password)
        if user := await manager.authenticate(credentials):
            return await signed_in(request, manager, user, to_next(request, form))
        form.refuse("E-mail or password is wrong.")
    return show(request, "login", form)


@router.post("/logout")
async def sign_out(request: Request, session: WriteSession) -> Response:
    response = RedirectResponse("/", 303)
    await sessions.sign_out(session, request, response)
    return response
