"""Responses that the pages and the API of accounts share."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails.delivery import email_is_enabled
from opportune.accounts.models import User
from opportune.accounts.schemas import AUTOCOMPLETE_OF_NEW, EmailRequest
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.accounts.sign_in_methods.providers import configured_providers
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidLinkError, InvalidPasswordError
from opportune.config.settings import Settings
from opportune.web.forms.fields import Control
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rate_limit import TooManyRequests
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import templates

# The address of such a page holds a token, which no other site may see. With "no-referrer" a browser would send the
# form with `Origin: null`, like a form of another site.
PRIVATE_HEADERS = {"Referrer-Policy": "same-origin", **SECRET_HEADERS}

EMAIL_REQUESTED = "If this address is right, an e-mail is on its way."
"""The same message whether or not the address has an account."""
INVALID_LINK = "This link is not ours, too old, or has been used."


def show(request: Request, name: str, status: int = 200, /, **context: Any) -> Response:
    """Render a page of accounts."""
    settings: Settings = request.app.state.settings
    if isinstance(form := context.get("form"), Form):
        form.controls = with_password_length(form.controls, settings.min_password_length)
    context = {**context, "email_is_enabled": email_is_enabled(settings)}
    return templates.render(request, f"accounts/{name}.html", context, status)


def with_password_length(controls: Mapping[str, Control], min_length: int) -> dict[str, Control]:
    """Add the minimum length of a new password to its label and to its input."""
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
    """Render a page for anonymous visitors, with the sign-in methods of the site and `next`."""
    settings: Settings = request.app.state.settings
    methods = {"providers": configured_providers(settings), "offers_email_sign_in": email_sign_in_is_offered(settings)}
    page = show(request, name, form.status, form=form, next=next_page(request, form), **methods, **more)
    page.headers.update(headers or {})
    return page


def redirect_with_message(request: Request, page: str, message: str) -> Response:
    """Redirect to a page that shows a message."""
    flash(request, message)
    return RedirectResponse(f"/accounts/{page}", 303)


async def sign_in_response(
    request: Request, session: AsyncSession, user: User, response: Response, *, remember: bool = False
) -> Response:
    await cookies.start_session(session, user, request, response, remember=remember)
    return response


def redirect_to_next(request: Request, form: Form[Any] | None = None) -> Response:
    return RedirectResponse(next_page(request, form), 303)


def next_page(request: Request, form: Form[Any] | None) -> str:
    return safe_redirect_path((form and form.value("next")) or request.query_params.get("next"))


def show_refusal(form: Form[Any], refusal: TooManyRequests) -> Mapping[str, str] | None:
    """Show in the form when to try again, and return the headers of the response."""
    form.refuse(refusal.detail, status=refusal.status_code)
    return refusal.headers


async def request_email(
    request: Request, context: AccountContext, send: Callable[[AccountContext, str], Awaitable[None]], template: str
) -> Response:
    """Send an e-mail to the address of the form. The response does not tell whether the address has an account."""
    form = await read_form(request, EmailRequest)
    headers = None
    if form.data:
        try:
            await send(context, form.data.email)
        except TooManyRequests as refusal:
            headers = show_refusal(form, refusal)
        else:
            return email_sent(request)
    return show_form(request, template, form, headers)


def email_sent(request: Request) -> Response:
    return templates.render(request, "accounts/email_sent.html")


def invalid_link(request: Request, request_path: str) -> Response:
    """Show that a link is invalid. At `request_path` the visitor can request another one."""
    page = templates.render(request, "accounts/invalid_link.html", {"again": request_path}, 410)
    page.headers.update(PRIVATE_HEADERS)
    return page


async def use_link(
    request: Request, form: Form[Any], change: Awaitable[User], *, template: str, request_path: str
) -> User | Response:
    """Return the user of a link in a form after the change, or the page that says why the change was refused."""
    headers = PRIVATE_HEADERS
    try:
        return await change
    except InvalidLinkError:
        return invalid_link(request, request_path)
    except TooManyRequests as refusal:
        headers = {**headers, **(show_refusal(form, refusal) or {})}
    except InvalidPasswordError as error:
        form.refuse(str(error), "password")
    return show_form(request, template, form, headers)


@contextmanager
def refused_links() -> Iterator[None]:
    """Answer 410 in the API if a link is invalid, and 422 if its password is refused."""
    try:
        yield
    except InvalidLinkError:
        raise HTTPException(410, INVALID_LINK) from None
    except InvalidPasswordError as error:
        raise invalid_field("password", str(error)) from None


async def show_password_error(
    request: Request, context: AccountContext, form: Form[Any], name: str, user: User | None = None
) -> None:
    """Add the errors of the new password to a form that has other errors."""
    password = (await request.form()).get(name)
    if name in form.errors or not isinstance(password, str):
        return
    try:
        await context.manager.check_new_password(password, user.email if user else form.value("email"), user)
    except InvalidPasswordError as error:
        form.refuse(str(error), name)


def invalid_field(field: str, message: str) -> RequestValidationError:
    """Return the error that a schema raises for an invalid field."""
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
