from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from app.accounts import bearer
from app.accounts.current import CurrentUser
from app.accounts.dependencies import Manager
from app.accounts.manager import NOT_CURRENT, TAKEN, InvalidPasswordException, UserAlreadyExists
from app.accounts.models import User
from app.accounts.schemas import Credentials, Registration, Token, UserChange, UserShown

router = APIRouter(tags=["accounts"])


@router.post("/auth/register", status_code=201, response_model=UserShown)
async def register(new: Registration, manager: Manager) -> User:
    try:
        return await manager.register(new.email, new.password)
    except UserAlreadyExists:
        raise HTTPException(409, TAKEN) from None
    except InvalidPasswordException as error:
        raise invalid("password", error.reason) from None


@router.post("/auth/login")
async def login(
    request: Request,
    response: Response,
    manager: Manager,
    credentials: Annotated[Credentials, Depends()],
) -> Token:
    """Exchange e-mail (as `username`) and password for a token of one hour. A new password ends it earlier."""
    user = await manager.authenticate(credentials)
    if user is None:
        raise HTTPException(401, "E-mail or password is wrong.", bearer.REALM)
    response.headers["Cache-Control"] = "no-store"
    return Token(access_token=bearer.issue(user, request.app.state.settings))


@router.get("/users/me", response_model=UserShown)
async def show_me(user: CurrentUser) -> User:
    return user


@router.patch("/users/me", response_model=UserShown)
async def change_me(wanted: UserChange, user: CurrentUser, manager: Manager) -> User:
    """Change e-mail or password. A new password ends every session and token, this one too."""
    email = None if wanted.email == user.email else wanted.email
    if email is None and wanted.password is None:
        return user
    if not await manager.is_password_of(user, wanted.current_password):
        raise invalid("current_password", NOT_CURRENT)
    try:
        return await manager.change(user, email=email, password=wanted.password)
    except UserAlreadyExists:
        raise HTTPException(409, TAKEN) from None
    except InvalidPasswordException as error:
        raise invalid("password", error.reason) from None


def invalid(field: str, message: str) -> RequestValidationError:
    """The same answer as for what a schema refuses."""
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
