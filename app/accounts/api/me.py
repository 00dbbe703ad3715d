"""What people see and change about themselves."""

from fastapi import APIRouter, HTTPException

from app.accounts.api.answers import invalid
from app.accounts.current import CurrentUser
from app.accounts.dependencies import Manager
from app.accounts.manager import NOT_CURRENT, TAKEN, InvalidPasswordException, UserAlreadyExists
from app.accounts.models import User
from app.accounts.schemas import UserChange, UserShown

router = APIRouter()


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
