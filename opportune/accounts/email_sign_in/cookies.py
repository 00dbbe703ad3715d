"""The sign-in request of a browser. Its code is valid in this browser only."""

from fastapi import Request, Response

from opportune.accounts.dependencies import LOGIN_PATH
from opportune.accounts.email_sign_in.service import LIFETIME_SECONDS, SignInRequest, read_request, seal_request
from opportune.accounts.sessions.page_cookies import page_cookie_name, set_page_cookie

COOKIE = "email_sign_in"


def remember_request(request: Request, response: Response, pending: SignInRequest) -> None:
    sealed = seal_request(request.app.state.settings, pending)
    set_page_cookie(request, response, COOKIE, sealed, seconds=LIFETIME_SECONDS, path=LOGIN_PATH)


def forget_request(request: Request, response: Response) -> None:
    set_page_cookie(request, response, COOKIE, "", seconds=0, path=LOGIN_PATH)


def remembered_request(request: Request) -> SignInRequest | None:
    settings = request.app.state.settings
    return read_request(settings, request.cookies.get(page_cookie_name(settings, COOKIE), ""))
