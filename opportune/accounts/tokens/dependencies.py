"""Checks of the scopes of a request's token."""

from collections.abc import Sequence

from fastapi import HTTPException, Request
from starlette.requests import HTTPConnection

from opportune.accounts.tokens.scopes import has_scope, needed_scopes


def require_scopes(held: str, needed: Sequence[str]) -> None:
    """Raise 403 if a token with these scopes lacks a scope."""
    scopes = held.split()
    if missing := [each for each in needed if not has_scope(scopes, each)]:
        words = f"This token may not do this: it lacks the scope {' and '.join(missing)}."
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(needed)}"'
        raise HTTPException(403, words, {"WWW-Authenticate": challenge})


def require_scope(request: Request, needed: str) -> None:
    """Raise 403 if the token of this request lacks a scope. Browser sessions have all scopes."""
    if request.state.token:
        require_scopes(request.state.token.scopes, [needed])


def needed_by(request: HTTPConnection) -> list[str]:
    """Return the scopes that a token needs for the route of this request. A WebSocket counts as a change."""
    method = request.scope.get("method", "WEBSOCKET")
    return needed_scopes(request.scope.get("route"), method, request.app.state.features)
