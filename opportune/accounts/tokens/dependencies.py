"""Checks of the scopes of a request's token."""

from collections.abc import Sequence

from fastapi import HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

from opportune.accounts.tokens.scopes import has_scope, needed_scopes
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_list

AUTHENTICATE_HEADER = {"WWW-Authenticate": "Bearer"}

# Marks the operations that accept a token in the OpenAPI document.
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


def read_bearer_token(request: HTTPConnection) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def require_scopes(token_scopes: str, needed: Sequence[str]) -> None:
    """Raise 403 if the scopes of a token, separated by spaces, do not include all needed scopes."""
    scopes = token_scopes.split()
    if missing := [scope for scope in needed if not has_scope(scopes, scope)]:
        detail = _("This token may not do this: it lacks the scope %(scopes)s.", scopes=format_list(missing))
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(needed)}"'
        raise HTTPException(403, detail, {"WWW-Authenticate": challenge})


def require_scope(request: Request, needed: str) -> None:
    """Raise 403 if the token of this request lacks a scope. Browser sessions have all scopes."""
    if request.state.token:
        require_scopes(request.state.token.scopes, [needed])


def get_request_scopes(request: HTTPConnection) -> list[str]:
    """Return the scopes that a token needs for this request. A WebSocket needs the scope of a changing method."""
    method = request.scope.get("method", "WEBSOCKET")
    return needed_scopes(request.scope.get("route"), method, request.app.state.features)
