"""API of sign-in by e-mail. Programs keep the `request` of the response, as browsers keep a cookie."""

from fastapi import Depends, HTTPException, Request, Response

from opportune.accounts.api.sign_in import grant_token, require_code
from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.email_sign_in import service
from opportune.accounts.email_sign_in.dependencies import require_email_sign_in
from opportune.accounts.responses import EMAIL_REQUESTED
from opportune.accounts.schemas import AccessToken, EmailRequest, EmailSignInCredentials, EmailSignInRequested
from opportune.accounts.tokens.bearer import AUTHENTICATE_HEADER
from opportune.accounts.tokens.scopes import require_known_scopes
from opportune.accounts.users.errors import InvalidLinkError
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/auth/login/email", tags=["accounts"], dependencies=[Depends(require_email_sign_in)])


@router.post("", status_code=202)
async def request_sign_in(body: EmailRequest, context: AccountCtx) -> EmailSignInRequested:
    """Request an e-mail with a code to sign in. The response does not depend on whether the address has an account."""
    sign_in_request = await service.request_sign_in(context, body.email)
    return EmailSignInRequested(detail=EMAIL_REQUESTED, request=service.seal_request(context.settings, sign_in_request))


@router.post("/code", response_model_exclude_none=True)
async def check_code(
    request: Request, response: Response, context: AccountCtx, credentials: EmailSignInCredentials
) -> AccessToken:
    """Exchange the code of an e-mail for an access token. Each code is valid once.

    Users with a second factor also send its code as `second_factor`. A `scope` limits the token.
    """
    require_known_scopes(credentials.scope.split(), request.app, "scope")
    sign_in_request = service.read_request(context.settings, credentials.request)
    if sign_in_request is None:
        raise InvalidLinkError
    user = await service.check_code(context, sign_in_request, credentials.code)
    if user is None:
        raise HTTPException(401, service.WRONG_CODE, AUTHENTICATE_HEADER)
    await require_code(context, user, credentials.second_factor)
    if not await service.use_email(context, user, sign_in_request.number):
        raise InvalidLinkError
    return await grant_token(request, response, context, user, credentials.scope)
