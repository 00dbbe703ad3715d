"""What the pages of accounts have in common."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from app.accounts import redirects, sessions
from app.accounts.manager import UserManager
from app.accounts.models import User
from app.core.web.forms import Form
from app.core.web.templating import templates


async def signed_in(request: Request, manager: UserManager, user: User, response: Response) -> Response:
    await sessions.sign_in(manager.session, user, request, response)
    return response


def to_next(request: Request, form: Form[Any] | None = None) -> Response:
    return RedirectResponse(next_page(request, form), 303)


def next_page(request: Request, form: Form[Any] | None) -> str:
    return redirects.local((form and form.value("next")) or request.query_params.get("next"))


def show(request: Request, name: str, form: Form[Any]) -> Response:
    context = {"form": form, "next": next_page(request, form)}
    return templates.page(request, f"accounts/{name}.html", context, form.status)
