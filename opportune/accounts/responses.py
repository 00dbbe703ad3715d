"""Responses that the pages and the API of accounts share."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import signed_links
from opportune.accounts.emails import email_is_enabled
from opportune.accounts.models import User
from opportune.accounts.schemas import NEW_PASSWORD_AUTOCOMPLETE, EmailRequest
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.accounts.sign_in_methods.providers import list_configured_providers
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.config.settings import Settings
from opportune.db.sessions.session import undo_changes
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.controls import Control
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rate_limit import TooManyRequests
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.flash import Level, flash
from opportune.web.rendering.templates import templates

# For pages whose address contains a token, which other sites must not see in the Referer header. "no-referrer" does not
# work, because browsers would then send forms with `Origin: null`, like forms of other sites.
PRIVATE_HEADERS = {"Referrer-Policy": "same-origin", **SECRET_HEADERS}

EMAIL_REQUESTED = _l("If this address is right, an e-mail is on its way.")
"""The same message whether or not the address has an account."""

CODE_PATH = f"{LOGIN_PATH}/code"
PENDING_COOKIE = cookies.PageCookie("pending", LOGIN_PATH, int(signed_links.LIFETIMES["code"].total_seconds()))
"""A signed cookie that keeps the state between the two steps of a sign-in."""


def show(
    request: Request, name: str, status: int = 200, /, *, headers: Mapping[str, str] | None = None, **context: Any
) -> Response:
    """Render a page of accounts. A `form` in the context sets the status and headers."""
    settings: Settings = request.app.state.settings
    headers = dict(headers or {})
    form = context.get("form")
    if isinstance(form, Form):
        form.controls |= _add_password_length(form.controls, settings.min_password_length)
        status = form.status
        headers |= form.headers
    context = {**context, "email_is_enabled": email_is_enabled(settings)}
    page = templates.render(request, f"accounts/{name}.html", context, status)
    page.headers.update(headers)
    return page


def _add_password_length(controls: Mapping[str, Control], min_length: int) -> dict[str, Control]:
    """Add the minimum length of a new password to its label and to its input."""
    changed = dict(controls)
    for name, control in controls.items():
        if control.attributes.get("autocomplete") == NEW_PASSWORD_AUTOCOMPLETE:
            texts = {"label": gettext(control.label), "number": min_length}
            label = gettext("%(label)s (at least %(number)s characters)", **texts)
            changed[name] = replace(control, label=label, attributes={**control.attributes, "minlength": min_length})
    return changed


def show_form(
    request: Request, name: str, form: Form[Any], headers: Mapping[str, str] | None = None, **context: Any
) -> Response:
    """Render a page for anonymous visitors, with the sign-in methods of the site and `next`."""
    settings: Settings = request.app.state.settings
    methods = {
        "providers": list_configured_providers(settings),
        "offers_email_sign_in": email_sign_in_is_offered(settings),
    }
    return show(request, name, headers=headers, form=form, next=next_page(request, form), **methods, **context)


def redirect_with_message(request: Request, path: str, message: str, level: Level = "success") -> Response:
    flash(request, message, level)
    return RedirectResponse(path, 303)


def redirect_with_error(request: Request, path: str, refusal: Exception) -> Response:
    """Redirect to a page that shows why a change was refused."""
    return redirect_with_message(request, path, str(refusal), "danger")


async def sign_in_redirect(
    request: Request, session: AsyncSession, user: User, next_path: str, *, remember: bool = False
) -> Response:
    response = RedirectResponse(safe_redirect_path(next_path), 303)
    await cookies.start_session(session, user, request, response, remember=remember)
    return response


def redirect_to_next(request: Request, form: Form[Any] | None = None) -> Response:
    return RedirectResponse(next_page(request, form), 303)


def next_page(request: Request, form: Form[Any] | None) -> str:
    submitted_path = form.value("next") if form else ""
    return safe_redirect_path(submitted_path or request.query_params.get("next"))


@asynccontextmanager
async def show_errors_in(form: Form[Any], session: AsyncSession) -> AsyncIterator[None]:
    """Add errors of fields and of rate limits to the form, so that the user sees them there.

    FieldErrors, such as those of a hook, also roll back the session.
    """
    try:
        yield
    except FieldErrors as errors:
        await undo_changes(session)
        form.add_errors(errors)
    except TooManyRequests as refusal:
        form.refuse(refusal.detail, status=refusal.status_code)
        form.headers.update(refusal.headers or {})


async def request_email(
    request: Request, context: AccountContext, send: Callable[[AccountContext, str], Awaitable[None]], template: str
) -> Response:
    """Send an e-mail to the address of the form. The response does not reveal whether the address has an account."""
    form = await read_form(request, EmailRequest)
    if form.data:
        async with show_errors_in(form, context.session):
            await send(context, form.data.email)
            return show_email_sent(request)
    return show_form(request, template, form)


def show_email_sent(request: Request) -> Response:
    return templates.render(request, "accounts/email_sent.html")


def show_invalid_link(request: Request, request_path: str) -> Response:
    """Render the page of an invalid link. It links to `request_path`, where visitors can request another one."""
    page = templates.render(request, "accounts/invalid_link.html", {"request_path": request_path}, 410)
    page.headers.update(PRIVATE_HEADERS)
    return page


async def show_password_error(
    request: Request, context: AccountContext, form: Form[Any], name: str, user: User | None = None
) -> None:
    """Add the error of the new password to a form with other errors, so that the user sees all of them."""
    password = (await request.form()).get(name)
    if name in form.errors or not isinstance(password, str):
        return
    try:
        await context.manager.check_new_password(password, user.email if user else form.value("email"), user)
    except InvalidPasswordError as error:
        form.refuse(str(error), name)


async def finish_first_step(
    request: Request, context: AccountContext, user: User, next_path: str, *, remember: bool
) -> Response:
    """Sign in the user, or redirect to the second step if the user has a second factor."""
    if not await has_second_factor(context.session, user):
        return await sign_in_redirect(request, context.session, user, next_path, remember=remember)
    response = RedirectResponse(CODE_PATH, 303)
    token = signed_links.make_link_token(context.settings, "code", user, next=next_path, remember=remember)
    PENDING_COOKIE.set(request, response, token)
    return response


async def read_pending_sign_in(request: Request, session: AsyncSession) -> signed_links.SignedLink | None:
    """Return the user of the first step and their choices `next` and `remember`; None without a valid cookie."""
    return await signed_links.read_link_token(session, request.app.state.settings, "code", PENDING_COOKIE.read(request))


async def finish_second_step(
    request: Request, context: AccountContext, user: User, options: dict[str, Any]
) -> Response:
    """Sign in the user with the choices `next` and `remember` of the first step."""
    response = await sign_in_redirect(request, context.session, user, options["next"], remember=options["remember"])
    PENDING_COOKIE.delete(request, response)
    return response
