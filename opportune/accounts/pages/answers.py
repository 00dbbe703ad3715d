"""What the pages for strangers have in common."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import emails
from opportune.accounts.manager import UserManager
from opportune.accounts.models import User
from opportune.accounts.schemas import EmailRequest
from opportune.accounts.sessions import service
from opportune.accounts.sign_in import redirects, trusted_devices
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rate_limit import TooManyRequests
from opportune.web.rendering.templates import templates

# Pages whose address holds a token tell it to no other site. With "no-referrer" browsers would send their forms with
# `Origin: null`, as foreign ones.
PRIVATE_HEADERS = {"Referrer-Policy": "same-origin", **SECRET_HEADERS}


async def signed_in(
    request: Request, manager: UserManager, user: User, response: Response, remember: bool = False
) -> Response:
    await service.sign_in(manager.session, user, request, response, remember)
    trusted_devices.trust_device(request, response, user)
    return response


def to_next(request: Request, form: Form[Any] | None = None) -> Response:
    return RedirectResponse(next_page(request, form), 303)


def next_page(request: Request, form: Form[Any] | None) -> str:
    return redirects.safe_redirect_path((form and form.value("next")) or request.query_params.get("next"))


def show(
    request: Request, name: str, form: Form[Any], headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    mail_leaves = emails.email_is_enabled(request.app.state.settings)
    context = {"form": form, "next": next_page(request, form), "mail_leaves": mail_leaves, **more}
    page = templates.render(request, f"accounts/{name}.html", context, form.status)
    page.headers.update(headers or {})
    return page


def refuse(form: Form[Any], refusal: TooManyRequests) -> Mapping[str, str] | None:
    """Say in the form when to try again; gives the headers of the answer."""
    form.refuse(refusal.detail, status=refusal.status_code)
    return refusal.headers


async def send(
    request: Request, manager: UserManager, ask: Callable[[Request, UserManager, str], Awaitable[None]], name: str
) -> Response:
    """The answer to who asks for a letter in the form of the page `name`."""
    form = await read_form(request, EmailRequest)
    headers = None
    if form.data:
        try:
            await ask(request, manager, form.data.email)
        except TooManyRequests as refusal:
            headers = refuse(form, refusal)
        else:
            return sent(request)
    return show(request, name, form, headers)


def sent(request: Request) -> Response:
    """The answer to all who asked for a letter: it does not tell whether there is one."""
    return templates.render(request, "accounts/sent.html")


def invalid_link(request: Request, again: str) -> Response:
    """The answer to a link that counts no more; `again` is where there is another."""
    page = templates.render(request, "accounts/broken_link.html", {"again": again}, 410)
    page.headers.update(PRIVATE_HEADERS)
    return page
