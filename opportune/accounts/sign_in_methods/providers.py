"""Sign-in providers of the settings: Google, GitHub, Microsoft and any OpenID provider. Sends no requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from opportune.config.settings import Settings, site_url
from opportune.config.site_settings import SOCIAL_PROVIDERS
from opportune.errors import Refused

SOCIAL_PATH = "/accounts/social"
DISCOVERY_PATH = "/.well-known/openid-configuration"
GITHUB_ISSUER = "https://github.com"
TENANT = "{tenantid}"

KNOWN_PROVIDERS: Mapping[str, tuple[str, str]] = {
    "google": ("Google", "https://accounts.google.com"),
    "github": ("GitHub", GITHUB_ISSUER),
    # For work, school and private accounts. The issuer of an account contains the id of its tenant.
    "microsoft": ("Microsoft", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
}
"""Label and issuer by name."""


class ProviderUnreachable(Exception):
    """The provider did not respond in time, or responded with a server error."""


class InvalidProviderResponse(Exception):
    """The response of the provider is invalid; the message is for the log."""


class SocialSignInRefused(Refused):
    """The sign-in by a provider is refused; the message is for the user."""


class Identity(NamedTuple):
    """The account at a provider with which a user has just signed in."""

    issuer: str
    subject: str
    email: str = ""
    email_is_verified: bool = False
    """Whether the provider has verified the address."""


@dataclass(frozen=True)
class Provider:
    name: str
    """Name in URLs and settings, such as `google`."""
    label: str
    issuer: str
    """Issuer in the discovery document. It contains `TENANT` if each tenant has its own issuer."""
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def discovery_url(self) -> str:
        return self.issuer.replace(TENANT, "common") + DISCOVERY_PATH

    def accepts_issuer(self, issuer: str) -> bool:
        """Return whether accounts of this issuer belong to this provider."""
        prefix, tenant, suffix = self.issuer.partition(TENANT)
        if not tenant:
            return issuer.rstrip("/") == self.issuer
        return issuer.startswith(prefix) and issuer.endswith(suffix)


def list_configured_providers(settings: Settings) -> list[Provider]:
    """Return the providers of the settings, in the order of their buttons."""
    names = (name for name in SOCIAL_PROVIDERS if getattr(settings, f"{name}_client_id"))
    return [_provider(settings, name) for name in names]


def find_provider(settings: Settings, name: str) -> Provider | None:
    return next((provider for provider in list_configured_providers(settings) if provider.name == name), None)


def callback_url(settings: Settings, provider: Provider) -> str:
    """Return the redirect URL. Each provider has its own, so that it cannot respond for another one."""
    return f"{site_url(settings)}{SOCIAL_PATH}/{provider.name}/callback"


def _provider(settings: Settings, name: str) -> Provider:
    custom = settings.oidc_label, settings.oidc_url.removesuffix(DISCOVERY_PATH).rstrip("/")
    label, issuer = KNOWN_PROVIDERS.get(name, custom)
    client_id = getattr(settings, f"{name}_client_id")
    secret = getattr(settings, f"{name}_client_secret")
    return Provider(name, label, issuer, client_id, secret.get_secret_value())
