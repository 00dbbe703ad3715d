"""What a browser keeps while its owner is at a provider, sealed: whoever has no such cookie has not begun here."""

import hmac
import json
from dataclasses import asdict

from fastapi import Request, Response

from opportune.accounts.social_sign_in.flow import LIFETIME_SECONDS, Journey
from opportune.accounts.social_sign_in.providers import SOCIAL_PATH, Provider
from opportune.settings import Settings
from opportune.signing import seal, unseal

PURPOSE = "accounts: social sign-in"


def remember_journey(request: Request, response: Response, journey: Journey) -> None:
    sealed = seal(request.app.state.settings, PURPOSE, json.dumps(asdict(journey)))
    _set_cookie(request, response, sealed, LIFETIME_SECONDS)


def forget_journey(request: Request, response: Response) -> None:
    _set_cookie(request, response, "", 0)


def journey_of(request: Request, provider: Provider, state: str) -> Journey | None:
    """The one that comes back with this state, from this provider, in the browser that it began in."""
    settings: Settings = request.app.state.settings
    text = unseal(settings, PURPOSE, request.cookies.get(_cookie_name(settings), ""), LIFETIME_SECONDS)
    if text is None:
        return None
    journey = Journey(**json.loads(text))
    is_ours = journey.provider == provider.name and hmac.compare_digest(
        journey.state.encode(), state.encode(errors="replace")
    )
    return journey if is_ours else None


def _cookie_name(settings: Settings) -> str:
    return "__Secure-social" if settings.has_secure_cookies else "social"


def _set_cookie(request: Request, response: Response, value: str, seconds: int) -> None:
    settings: Settings = request.app.state.settings
    response.set_cookie(
        _cookie_name(settings),
        value,
        max_age=seconds,
        path=SOCIAL_PATH,
        secure=settings.has_secure_cookies,
        httponly=True,
        samesite="lax",  # it has to come along from the provider's page
    )
