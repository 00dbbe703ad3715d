"""Texts of forms that were not processed, because the user must sign in first, or another user or team is current.

They are encrypted in the table of the rate limit counts. Only the users of the form can see them.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import HTTPException, Request, Response
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData
from starlette.requests import HTTPConnection

from opportune.accounts.models import Attempt, User
from opportune.accounts.sessions.cookies import read_session_token
from opportune.accounts.sessions.credentials import hash_token
from opportune.accounts.submissions import FIND_RESULT
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.db.clock import utc_now
from opportune.db.models.sensitive_names import is_secret
from opportune.errors import ReadOnlyError
from opportune.i18n import gettext_lazy as _l
from opportune.web.client import client_address
from opportune.web.errors.problem import problem
from opportune.web.forms.hidden_fields import USER_FIELD, let_repeat, submitted_mark, user_marks
from opportune.web.forms.kept_form import FORM_IN_STATE, KEY_IN_STATE, QUERY_PARAMETER, KeptForm
from opportune.web.forms.uploads import allow_files
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.rate_limit import RateLimit, TooManyRequests
from opportune.web.rendering.flash import added_messages, flash, keep_messages
from opportune.web.routing.root_path import path_below_root

logger = logging.getLogger(__name__)

LIFETIME = timedelta(hours=1)
PURPOSE = "kept form"
MAX_FIELDS = 5_000
MAX_FILES = 20
ONE_TIME_CODE = "code"
NOTHING_SAVED = _l("Nothing has been saved yet.")
KEEP_LIMIT = RateLimit("accounts.kept_forms", 30, 3600)


class SubmittedTexts(NamedTuple):
    fields: Sequence[tuple[str, str]] = ()
    """Names and texts, without files and secrets."""
    names: Sequence[str] = ()
    """Names of all fields."""


class FormInterrupted(HTTPException):
    """Redirect to another page before a form is processed. The texts of the form are kept."""

    def __init__(self, status_code: int, header: str, url: str, notice: str = "", *, has_form: bool) -> None:
        super().__init__(status_code, headers={header: url})
        self.header = header
        self.url = url
        self.notice = notice
        self.has_form = has_form


async def on_form_interrupted(request: Request, error: Exception) -> Response:
    """Redirect, with the key of the kept texts in the URL that the user comes back to."""
    assert isinstance(error, FormInterrupted)
    let_repeat(request)
    key = await _keep(request, error.notice)
    if not key and request.method not in SAFE_METHODS and not added_messages(request.scope):
        flash(request, NOTHING_SAVED, "info")
    keep_messages(request)
    add_key = with_key if error.has_form else _with_key_in_next
    headers = {error.header: add_key(error.url, key) if key else error.url}
    if error.header == "Location":
        return Response(status_code=error.status_code, headers=headers)
    return problem(request, error.status_code, headers=headers)


async def load_kept_form(request: HTTPConnection, user: User | None) -> None:
    """Find the texts whose key is in the URL, for the form of this page."""
    state = request.scope.get("state", {})
    key = state.get(KEY_IN_STATE)
    if not key or request.scope.get("method") != "GET":
        return
    row = await request.app.state.database.lookup(FIND_RESULT, {"key": _hash_key(key), "now": utc_now()})
    settings: Settings = request.app.state.settings
    text = await asyncio.to_thread(unseal, settings, PURPOSE, row[0]) if row and row[0] else None
    marks = user_marks(settings, user.id) if user else []
    state[FORM_IN_STATE] = _make_kept_form(request, key, text, marks)


def _make_kept_form(request: HTTPConnection, key: str, text: str | None, marks: list[str]) -> KeptForm:
    """Return the kept texts for a user with these marks. They are gone for users to whom they do not belong."""
    stored = json.loads(text) if text else None
    if stored is None or (stored["users"] and not {*stored["users"]} & {*marks}):
        return KeptForm(FormData(), is_gone=True)
    fields = FormData([(name, value) for name, value in stored["fields"]])
    names = stored.get("names", ())
    notice = stored.get("notice", "")
    is_of_other_user = bool(stored["users"]) and stored["users"][0] not in marks
    url = with_key(f"{request.url.path}?{request.url.query}", key)
    return KeptForm(fields, names, url, notice, is_of_other_user=is_of_other_user)


async def _keep(request: Request, notice: str) -> str:
    """Store the texts of the request and return their key. Return an empty string if there is nothing to keep."""
    if request.method != "POST":
        return ""
    user: User | None = getattr(request.state, "user", None)
    user_mark, *older_marks = user_marks(request.app.state.settings, user.id) if user else [""]
    form_mark = submitted_mark(request)
    users = [mark for mark in (form_mark, user_mark) if mark]
    if not users and read_session_token(request):  # the author is unknown, and another user may sign in
        return ""
    texts = await _read_texts(request)
    is_of_other_user = len(users) == 2 and form_mark not in (user_mark, *older_marks)
    if not texts.fields and not is_of_other_user and not notice:  # a button of another user needs a message on the page
        return ""
    content: dict[str, object] = {"users": users, "fields": texts.fields, "names": texts.names, "notice": notice}
    # The mark in the form is not the author: a visitor could send another one with each form.
    return await _store(request, content, user_mark or client_address(request))


async def _read_texts(request: Request) -> SubmittedTexts:
    """Return the texts of the submitted form. If the form is invalid, or the route has read the body, return none."""
    is_account_page = path_below_root(request.scope).startswith("/accounts/")
    omitted = {USER_FIELD, ONE_TIME_CODE} if is_account_page else {USER_FIELD}
    allow_files(request)
    try:
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
            texts = [
                (name, value.encode(errors="replace").decode())
                for name, value in form.multi_items()
                if isinstance(value, str) and name not in omitted and not is_secret(name)
            ]
            return SubmittedTexts(texts, [name.encode(errors="replace").decode() for name in form])
    except (HTTPException, RuntimeError, UnicodeError):
        return SubmittedTexts()


async def _store(request: Request, content: dict[str, object], author: str) -> str:
    """Store the content and return its key. Return an empty string if there are too many, or the database fails."""
    key = secrets.token_urlsafe(16)
    try:
        await request.app.state.rate_limiter.hit(KEEP_LIMIT.by(author))
        sealed = await asyncio.to_thread(seal, request.app.state.settings, PURPOSE, json.dumps(content))
        async with request.app.state.database.writer() as session:
            values = {"key": _hash_key(key), "count": 0, "ends_at": utc_now() + LIFETIME, "result": sealed}
            await session.execute(insert(Attempt).values(values))
    except TooManyRequests:
        return ""
    except (SQLAlchemyError, ReadOnlyError, OSError) as error:
        logger.warning("The texts of a form are not kept: %s", error)
        return ""
    return key


def _hash_key(key: str) -> str:
    return hash_token(f"{PURPOSE}:{key}")


def with_key(page: str, key: str) -> str:
    """Add the key to the URL of a page."""
    path, _, query = page.partition("?")
    others = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != QUERY_PARAMETER]
    return f"{path}?{urlencode([*others, (QUERY_PARAMETER, key)])}"


def _with_key_in_next(url: str, key: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return parts._replace(query=urlencode(query | {"next": with_key(query["next"], key)})).geturl()
