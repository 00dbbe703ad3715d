"""What people see and change about themselves."""

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic_core import to_json

from opportune.accounts.api.answers import invalid
from opportune.accounts.current import CurrentUser
from opportune.accounts.deletion import deletion
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import (
    EMAIL_TAKEN,
    WRONG_CURRENT_PASSWORD,
    EmailTakenError,
    InvalidPasswordError,
    UserManager,
)
from opportune.accounts.models import User
from opportune.accounts.profile import email_change
from opportune.accounts.profile.password_change import change_password
from opportune.accounts.reauthentication import reauthenticate
from opportune.accounts.schemas import Reauthentication, UserRead, UserUpdate
from opportune.db.sessions.dependencies import DatabaseDependency, ReadSession

router = APIRouter(tags=["accounts"])

PROVED = {"email", "password", "current_password"}
"""What is changed in ways of its own; all else that the schema takes is stored as it is."""


@router.get("/users/me", response_model=UserRead)
async def show_me(user: CurrentUser) -> User:
    return user


@router.patch("/users/me", response_model=UserRead, responses={202: {"model": UserRead}})
async def change_me(
    request: Request, response: Response, wanted: UserUpdate, user: CurrentUser, manager: UserManagerDependency
) -> User:
    """Change what is given. E-mail and password want the current password too.

    A new password ends every session and token, this one too. A new e-mail counts once the link in a letter to it has
    been opened: 202.
    """
    settings = request.app.state.settings
    email = None if wanted.email == user.email else wanted.email
    if email or wanted.password is not None:
        await confirm(request, manager, user, wanted.current_password)
    try:
        if email:
            await email_change.check_email_change(request, manager, user, email)
        if wanted.password is not None:
            user = await change_password(manager, settings, user, wanted.password)
        if email and await email_change.request_email_change(manager, settings, user, email):
            response.status_code = 202
    except EmailTakenError:
        raise HTTPException(409, EMAIL_TAKEN) from None
    except InvalidPasswordError as error:
        raise invalid("password", str(error)) from None
    if others := wanted.model_dump(exclude=PROVED, exclude_none=True):
        manager.session.add(user)
        user.sqlmodel_update(others)
    return user


@router.delete("/users/me", status_code=204)
async def delete_me(
    request: Request,
    wanted: Reauthentication,
    user: CurrentUser,
    database: DatabaseDependency,
    manager: UserManagerDependency,
) -> None:
    """Delete the account and all that is kept with it. 409 for the last superuser."""
    await confirm(request, manager, user, wanted.current_password)
    try:
        await deletion.delete_account(database, manager, request.app.state.settings, request.app.state.features, user)
    except deletion.DeletionRefused as error:
        raise HTTPException(409, str(error)) from None


@router.get("/users/me/export")
async def export_me(request: Request, user: CurrentUser, session: ReadSession) -> Response:
    """All that is kept of one, by feature and kind."""
    rows = await deletion.read_personal_data(session, request.app.state.features, user)
    return Response(to_json(rows), headers={"Cache-Control": "no-store"}, media_type="application/json")


async def confirm(request: Request, manager: UserManager, user: User, password: str) -> None:
    if not await reauthenticate(request, manager, user, password):
        raise invalid("current_password", WRONG_CURRENT_PASSWORD)
