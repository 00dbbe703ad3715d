from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts import redirects, sessions
from app.accounts.current import CurrentUser, OptionalUser
from app.accounts.dependencies import Manager
from app.accounts.manager import NOT_CURRENT, TAKEN, InvalidPasswordException, UserAlreadyExists, UserManager
from app.accounts.models import User
from app.accounts.schemas import Credentials, PasswordChange, Registration, SignIn
from app.core.db.session import WriteSession
from app.core.web.forms import Form, read_form
from app.core.web.templating import templates

router = APIRouter(prefix="/accounts")


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


@router.get("/register")
async def registration(request: Request, user: OptionalUser) -> Response:
    return to_next(request) if user else show(request, "register", Form(Registration))


@router.post("/register")
async def register(request: Request, manager: Manager) -> Response:
    form = await read_form(request, Registration)
    if form.data:
        try:
            user = await manager.register(form.data.email, form.data.password)
        except UserAlreadyExists:
            # Tells that the account exists, until registering goes by mail.
            form.refuse(TAKEN, "email")
        except InvalidPasswordException as error:
            form.refuse(error.reason, "password")
        else:
            return await signed_in(request, manager, user, to_next(request, form))
    return show(request, "register", form)


@router.get("/profile")
async def profile(request: Request, _user: CurrentUser) -> Response:
    return show(request, "profile", Form(PasswordChange))


@router.post("/profile")
async def change_password(request: Request, user: CurrentUser, manager: Manager) -> Response:
    form = await read_form(request, PasswordChange)
    if form.data:
        if not await manager.is_password_of(user, form.data.current_password):
            form.refuse(NOT_CURRENT, "current_password")
            return show(request, "profile", form)
        try:
            user = await manager.change(user, password=form.data.new_password)
        except InvalidPasswordException as error:
            form.refuse(error.reason, "new_password")
        else:
            return await signed_in(request, manager, user, RedirectResponse("/accounts/profile?changed=1", 303))
    return show(request, "profile", form)


async def signed_in(request: Request, manager: UserManager, user: User, response: Response) -> Response:
    await sessions.sign_in(manager.session, user, request, response)
    return response


def to_next(request: Request, form: Form[Any] | None = None) -> Response:
    return RedirectResponse(next_page(request, form), 303)


def next_page(request: Request, form: Form[Any] | None) -> str:
    return redirects.local((form and form.value("next")) or request.query_params.get("next"))


def show(request: Request, name: str, form: Form[Any]) -> Response:
    context = {"form": form, "next": next_page(request, form)}
    return templates.page(request, f"accounts/{name}.html", context, form.status)
