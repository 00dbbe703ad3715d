"""Register, sign in and out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from opportune.accounts import bearer, by_mail, entering, sessions
from opportune.accounts.api.answers import ASKED, invalid
from opportune.accounts.dependencies import Manager
from opportune.accounts.manager import TAKEN, PasswordError, TakenError
from opportune.accounts.schemas import Credentials, Registration, Token, UserShown
from opportune.db.sessions.dependencies import WriteSession
from opportune.web.middleware.compression import SECRET

router = APIRouter(prefix="/auth", tags=["accounts"])

WRONG = "E-mail or password is wrong."
WANTS_CODE = "Send a `code` of your authenticator app, or a recovery code, too."
WRONG_CODE = "This code is wrong, or has been used."

BY_MAIL: dict[int | str, dict[str, Any]] = {202: {"description": ASKED}, 409: {"description": TAKEN}}


@router.post("/register", status_code=201, response_model=UserShown, responses=BY_MAIL)
async def register(request: Request, new: Registration, manager: Manager) -> Any:
    """Make an account.

    Where the site sends mail the answer is always 202, and only the letter tells whether there was an account. Where
    it sends none the account is made at once (201), or there is one already (409): how often that is told to one
    address is limited.
    """
    try:
        user = await by_mail.register(request, manager, new.email, new.password)
    except TakenError:
        raise HTTPException(409, TAKEN) from None
    except PasswordError as error:
        raise invalid("password", str(error)) from None
    return user or JSONResponse({"detail": ASKED}, 202)


@router.post("/login")
async def login(
    request: Request, response: Response, manager: Manager, credentials: Annotated[Credentials, Form()]
) -> Token:
    """Exchange e-mail (as `username`) and password for a token of one hour. A new password ends it earlier.

    Who has a second factor sends a `code`, too.
    """
    user = await entering.check_password(request, manager, credentials.username, credentials.password)
    if user is None:
        raise HTTPException(401, WRONG, bearer.REALM)
    if user.has_two_factor and not (
        credentials.code and await entering.check_code(request, manager, user, credentials.code)
    ):
        await manager.session.commit()  # what was counted stays counted, and the right password is no guess
        raise HTTPException(401, WRONG_CODE if credentials.code else WANTS_CODE, bearer.REALM)
    response.headers.update(SECRET)
    return Token(access_token=await bearer.issue(manager.session, user, bearer.AT_SIGN_IN, bearer.SIGNED_IN))


@router.post("/logout", status_code=204)
async def logout(
    request: Request, session: WriteSession, _shown: Annotated[str | None, Depends(bearer.scheme)]
) -> Response:
    """End the token, or else the session, that this request comes with."""
    response = Response(status_code=204)
    if token := bearer.token_of(request):
        await bearer.end(session, token)
    else:
        await sessions.sign_out(session, request, response)
    return response
