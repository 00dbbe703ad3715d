"""Register, and get back in: what goes by mail."""

from fastapi import APIRouter, Request, Response

from app.accounts.current import OptionalUser
from app.accounts.dependencies import Manager
from app.accounts.manager import TAKEN, InvalidPasswordException, UserAlreadyExists
from app.accounts.pages.answers import show, signed_in, to_next
from app.accounts.schemas import Registration
from app.core.web.forms import Form, read_form

router = APIRouter()


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
