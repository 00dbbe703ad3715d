"""What people change about themselves."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.current import CurrentUser
from app.accounts.dependencies import Manager
from app.accounts.manager import NOT_CURRENT, InvalidPasswordException
from app.accounts.pages.answers import show, signed_in
from app.accounts.schemas import PasswordChange
from app.core.web.forms import Form, read_form

router = APIRouter()


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
