"""Register, sign in, and get back in."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from app.accounts import bearer
from app.accounts.api.answers import invalid
from app.accounts.dependencies import Manager
from app.accounts.manager import TAKEN, InvalidPasswordException, UserAlreadyExists
from app.accounts.models import User
from app.accounts.schemas import Credentials, Registration, Token, UserShown

router = APIRouter()


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
