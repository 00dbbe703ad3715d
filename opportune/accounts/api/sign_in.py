"""API of signing in and out.

Programs keep the `request` of a sign-in by e-mail, as browsers keep a cookie.
"""

from typing import Annotated

from fastapi import Depends, Form, HTTPException, Request, Response

from opportune.accounts import schemas
from opportune.accounts.dependencies import AccountCtx, require_email_sign_in
from opportune.accounts.events.service import is_known_program, record_sign_in
from opportune.accounts.flows import email_sign_in, sign_in
from opportune.accounts.models import User
from opportune.accounts.request_credentials import token_strategy
from opportune.accounts.responses import EMAIL_REQUESTED
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.tokens.dependencies import AUTHENTICATE_HEADER, oauth2_scheme, read_bearer_token
from opportune.accounts.tokens.scopes import ALL_SCOPES, require_known_scopes
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidLinkError
from opportune.db.sessions.dependencies import WriteSession
from opportune.i18n import gettext_lazy as _l
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/auth", tags=["accounts"])

BY_EMAIL = [Depends(require_email_sign_in)]

CODE_REQUIRED = _l("Also send a `code` of your authenticator app, or a recovery code.")


@router.post("/login", operation_id="login", response_model_exclude_none=True)
async def login(
    request: Request, response: Response, context: AccountCtx, credentials: Annotated[schemas.Credentials, Form()]
) -> schemas.AccessToken:
    """Exchange e-mail (as `username`) and password for an access token.

    Users with a second factor also send a `code`. A `scope` limits the token. A new password ends the token early.
    """
    require_known_scopes(credentials.scope.split(), request.app, "scope")
    email = credentials.username
    user = await sign_in.check_password(context, email, credentials.password, cookies.trusted_device(request, email))
    if user is None:
        raise HTTPException(401, sign_in.WRONG_CREDENTIALS, AUTHENTICATE_HEADER)
    await require_code(context, user, credentials.code)
    return await grant_token(request, response, context, user, credentials.scope)


async def require_code(context: AccountContext, user: User, code: str) -> None:
    """Check the code if the user has a second factor.

    Raises:
        HTTPException: The code is missing or wrong.
        TooManyRequests: Too many codes were tried.
    """
    if await has_second_factor(context.session, user) and not (code and await sign_in.check_code(context, user, code)):
        await context.session.commit()  # commit before the error rolls back the transaction
        raise HTTPException(401, sign_in.WRONG_CODE if code else CODE_REQUIRED, AUTHENTICATE_HEADER)


async def grant_token(
    request: Request, response: Response, context: AccountContext, user: User, scope: str
) -> schemas.AccessToken:
    """Sign in a program and return its token."""
    response.headers.update(SECRET_HEADERS)
    strategy = token_strategy(context.settings, request.app.state.database, context.session)
    access_token = await strategy.grant(user, " ".join(scope.split()) or ALL_SCOPES)
    await record_sign_in(context, user, is_known=await is_known_program(context, user))
    await context.manager.on_after_login(user, request, response)
    return access_token


@router.post("/refresh")
async def refresh(
    request: Request, response: Response, context: AccountCtx, body: schemas.TokenRefresh
) -> schemas.AccessToken:
    """Exchange a refresh token for a JWT and the next refresh token. Only sites with BEARER=jwt have refresh tokens.

    Each refresh token is valid once. A second use within ten seconds is a retry and gets the same refresh token.
    A later use signs the program out.
    """
    strategy = token_strategy(context.settings, request.app.state.database, context.session)
    access_token = await strategy.refresh(body.refresh_token)
    if access_token is None:
        context.log_refused_sign_in("refresh_token", None)
        await context.session.commit()  # commit, because a reused token has ended the sign-in
        raise HTTPException(401, headers=AUTHENTICATE_HEADER)
    response.headers.update(SECRET_HEADERS)
    return access_token


@router.post("/logout", operation_id="logout", status_code=204)
async def logout(
    request: Request, session: WriteSession, _bearer: Annotated[str | None, Depends(oauth2_scheme)]
) -> Response:
    """End the bearer token of this request. Without one, end the session of the browser."""
    response = Response(status_code=204)
    if token := read_bearer_token(request):
        await token_strategy(request.app.state.settings, request.app.state.database, session).destroy_token(token)
    else:
        await cookies.sign_out(session, request, response)
    return response


@router.post("/login/email", status_code=202, dependencies=BY_EMAIL)
async def request_sign_in(body: schemas.EmailRequest, context: AccountCtx) -> schemas.EmailSignInRequested:
    """Request an e-mail with a code to sign in. The response does not depend on whether the address has an account."""
    sign_in_request = await email_sign_in.request_sign_in(context, body.email)
    sealed_request = email_sign_in.seal_request(context.settings, sign_in_request)
    return schemas.EmailSignInRequested(detail=EMAIL_REQUESTED, request=sealed_request)


@router.post("/login/email/code", response_model_exclude_none=True, dependencies=BY_EMAIL)
async def check_code(
    request: Request, response: Response, context: AccountCtx, credentials: schemas.EmailSignInCredentials
) -> schemas.AccessToken:
    """Exchange the code of an e-mail for an access token. Each code is valid once.

    Users with a second factor also send its code as `second_factor`. A `scope` limits the token.
    """
    require_known_scopes(credentials.scope.split(), request.app, "scope")
    sign_in_request = email_sign_in.read_request(context.settings, credentials.request)
    if sign_in_request is None:
        raise InvalidLinkError
    user = await email_sign_in.check_code(context, sign_in_request, credentials.code)
    if user is None:
        raise HTTPException(401, email_sign_in.WRONG_CODE, AUTHENTICATE_HEADER)
    await require_code(context, user, credentials.second_factor)
    if not await email_sign_in.use_email(context, user, sign_in_request.number):
        raise InvalidLinkError
    return await grant_token(request, response, context, user, credentials.scope)
