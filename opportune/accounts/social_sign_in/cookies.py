"""The encrypted state of a sign-in while the user is at the provider."""

import hmac
import json
from dataclasses import asdict

from fastapi import Request, Response

from opportune.accounts.sessions.page_cookies import page_cookie_name, set_page_cookie
from opportune.accounts.sign_in_methods.providers import SOCIAL_PATH, Provider
from opportune.accounts.social_sign_in.flow import LIFETIME_SECONDS, Journey
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal

COOKIE = "social"
PURPOSE = "accounts: social sign-in"


def remember_journey(request: Request, response: Response, journey: Journey) -> None:
    sealed = seal(request.app.state.settings, PURPOSE, json.dumps(asdict(journey)))
    # Lax, because it must be sent when the provider redirects back.
    set_page_cookie(request, response, COOKIE, sealed, seconds=LIFETIME_SECONDS, path=SOCIAL_PATH)


def forget_journey(request: Request, response: Response) -> None:
    set_page_cookie(request, response, COOKIE, "", seconds=0, path=SOCIAL_PATH)


def journey_of(request: Request, provider: Provider, state: str) -> Journey | None:
    """Return the state of this browser for a response of this provider."""
    settings: Settings = request.app.state.settings
    text = unseal(settings, PURPOSE, request.cookies.get(page_cookie_name(settings, COOKIE), ""), LIFETIME_SECONDS)
    if text is None:
        return None
    journey = Journey(**json.loads(text))
    is_ours = journey.provider == provider.name and hmac.compare_digest(
        journey.state.encode(), state.encode(errors="replace")
    )
    return journey if is_ours else None
