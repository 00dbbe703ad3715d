"""What the pages and the API of accounts answer alike."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails.delivery import email_is_enabled
from opportune.accounts.models import User
from opportune.accounts.schemas import AUTOCOMPLETE_OF_NEW, EmailRequest, Reauthentication
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.accounts.sign_in_methods.providers import configured_providers
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.config.settings import Settings
from opportune.web.forms.fields import Control
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rate_limit import TooManyRequests
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import templates

M = TypeVar("M", bound=Reauthentication)

# Pages whose address holds a token tell it to no other site. With "no-referrer" browsers would send their forms with
# `Origin: null`, as foreign ones.
PRIVATE_HEADERS = {"Referrer-Policy": "same-origin", **SECRET_HEADERS}

EMAIL_REQUESTED = "If this address is right, an e-mail is on its way."
"""Whether or not there is an account."""
INVALID_LINK = "This link is not ours, too old, or has been used."


def show(request: Request, name: str, status: int = 200, /, **context: Any) -> Response:
    """A page of accounts, which knows whether mail leaves."""
    settings: Settings = request.app.state.settings
    if isinstance(form := context.get("form"), Form):
        form.controls = with_password_length(form.controls, settings.min_password_length)
    context = {**context, "email_is_enabled": email_is_enabled(settings)}
    return templates.render(request, f"accounts/{name}.html", context, status)


def with_password_length(controls: Mapping[str, Control], min_length: int) -> dict[str, Control]:
    """Tell the user and the browser how long a new password has to be."""
    return {
        name: replace(
            control,
            label=f"{control.label} (at least {min_length} characters)",
            attributes={**control.attributes, "minlength": min_length},
        )
        if control.attributes.get("autocomplete") == AUTOCOMPLETE_OF_NEW
        else control
        for name, control in controls.items()
    }


def show_form(
    request: Request, name: str, form: Form[Any], headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A page for strangers, who go on to `next` when they have signed in."""
    settings: Settings = request.app.state.settings
    ways = {"providers": configured_providers(settings), "offers_email_sign_in": email_sign_in_is_offered(settings)}
    page = show(request, name, form.status, form=form, next=next_page(request, form), **ways, **more)
    page.headers.update(headers or {})
    return page


def done(request: Request, page: str, words: str) -> Response:
    """Back to a page, which then says what has been done."""
    flash(request, words)
    return RedirectResponse(f"/accounts/{page}", 303)


async def signed_in(
    request: Request, session: AsyncSession, user: User, response: Response, *, remember: bool = False
) -> Response:
    await cookies.sign_in(session, user, request, response, remember=remember)
    return response


def to_next(request: Request, form: Form[Any] | None = None) -> Response:
    return RedirectResponse(next_page(request, form), 303)


def next_page(request: Request, form: Form[Any] | None) -> str:
    return safe_redirect_path((form and form.value("next")) or request.query_params.get("next"))


def refuse(form: Form[Any], refusal: TooManyRequests) -> Mapping[str, str] | None:
    """Say in the form when to try again; gives the headers of the answer."""
    form.refuse(refusal.detail, status=refusal.status_code)
    return refusal.headers


async def answer_request_for_email(
    request: Request, context: AccountContext, ask: Callable[[AccountContext, str], Awaitable[None]], name: str
) -> Response:
    """The answer to who asks for an e-mail in the form of the page `name`."""
    form = await read_form(request, EmailRequest)
    headers = None
    if form.data:
        try:
            await ask(context, form.data.email)
        except TooManyRequests as refusal:
            headers = refuse(form, refusal)
        else:
            return email_sent(request)
    return show_form(request, name, form, headers)


def email_sent(request: Request) -> Response:
    """The answer to all who asked for an e-mail: it does not tell whether there is one."""
    return templates.render(request, "accounts/email_sent.html")


def invalid_link(request: Request, again: str) -> Response:
    """The answer to a link that counts no more; `again` is where there is another."""
    page = templates.render(request, "accounts/invalid_link.html", {"again": again}, 410)
    page.headers.update(PRIVATE_HEADERS)
    return page


async def name_weak_password(
    request: Request, context: AccountContext, form: Form[Any], name: str, user: User | None = None
) -> None:
    """Say what is wrong with the new password in a form that is refused anyway: all of it is told at once."""
    password = (await request.form()).get(name)
    if name in form.errors or not isinstance(password, str):
        return
    try:
        await context.manager.check_new_password(password, user.email if user else form.value("email"), user)
    except InvalidPasswordError as error:
        form.refuse(str(error), name)


def invalid_field(field: str, message: str) -> RequestValidationError:
    """The same answer as for what a schema refuses."""
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
