"""Register, sign in and out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from opportune.accounts import email_flows
from opportune.accounts.api.answers import EMAIL_REQUESTED, invalid
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import EMAIL_TAKEN, EmailTakenError, InvalidPasswordError
from opportune.accounts.schemas import AccessToken, Credentials, UserCreate, UserRead
from opportune.accounts.sessions import service
from opportune.accounts.sign_in import authentication
from opportune.accounts.tokens import bearer
from opportune.db.sessions.dependencies import WriteSession
from opportune.web.middleware.compression import SECRET_HEADERS

router = APIRouter(prefix="/auth", tags=["accounts"])

WRONG_CREDENTIALS = "E-mail or password is wrong."
WANTS_CODE = "Send a `code` of your authenticator app, or a recovery code, too."
WRONG_CODE = "This code is wrong, or has been used."

BY_MAIL: dict[int | str, dict[str, Any]] = {202: {"description": EMAIL_REQUESTED}, 409: {"description": EMAIL_TAKEN}}


@router.post("/register", status_code=201, response_model=UserRead, responses=BY_MAIL)
async def register(request: Request, new: UserCreate, manager: UserManagerDependency) -> Any:
    """Make an account.

    Where the site sends mail the answer is always 202, and only the letter tells whether there was an account. Where
    it sends none the account is made at once (201), or there is one already (409): how often that is told to one
    address is limited.
    """
    try:
        user = await email_flows.register(request, manager, new.email, new.password)
    except EmailTakenError:
        raise HTTPException(409, EMAIL_TAKEN) from None
    except InvalidPasswordError as error:
        raise invalid("password", str(error)) from None
    return user or JSONResponse({"detail": EMAIL_REQUESTED}, 202)


@router.post("/login")
async def login(
    request: Request, response: Response, manager: UserManagerDependency, credentials: Annotated[Credentials, Form()]
) -> AccessToken:
    """Exchange e-mail (as `username`) and password for a token of one hour. A new password ends it earlier.

    Who has a second factor sends a `code`, too.
    """
    user = await authentication.check_password(request, manager, credentials.username, credentials.password)
    if user is None:
        raise HTTPException(401, WRONG_CREDENTIALS, bearer.AUTHENTICATE_HEADER)
    if user.has_two_factor and not (
        credentials.code and await authentication.check_code(request, manager, user, credentials.code)
    ):
        await manager.session.commit()  # what was counted stays counted, and the right password is no guess
        raise HTTPException(401, WRONG_CODE if credentials.code else WANTS_CODE, bearer.AUTHENTICATE_HEADER)
    response.headers.update(SECRET_HEADERS)
    return AccessToken(
        access_token=await bearer.create_token(
            manager.session, user, bearer.ACCESS_TOKEN_NAME, bearer.ACCESS_TOKEN_LIFETIME
        )
    )


@router.post("/logout", status_code=204)
async def logout(
    request: Request, session: WriteSession, _shown: Annotated[str | None, Depends(bearer.oauth2_scheme)]
) -> Response:
    """End the token, or else the session, that this request comes with."""
    response = Response(status_code=204)
    if token := bearer.read_bearer_token(request):
        await bearer.delete_token(session, token)
    else:
        await service.sign_out(session, request, response)
    return response
