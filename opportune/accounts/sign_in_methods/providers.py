"""Who else may vouch for people, as the settings name them. Nothing here asks any of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opportune.config.settings import SOCIAL_PROVIDERS, Settings
from opportune.mail.email import site_url

SOCIAL_PATH = "/accounts/social"
DISCOVERY_PATH = "/.well-known/openid-configuration"
GITHUB_ISSUER = "https://github.com"
TENANT = "{tenantid}"

KNOWN: Mapping[str, tuple[str, str]] = {
    "google": ("Google", "https://accounts.google.com"),
    "github": ("GitHub", GITHUB_ISSUER),
    # Of work, school and private accounts; the issuer of each names the tenant that it belongs to.
    "microsoft": ("Microsoft", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
}
"""What it is called, and its issuer."""


class ProviderUnreachable(Exception):
    """It does not answer, not in time, or by an error of its own."""


class ProviderNotBelieved(Exception):
    """What it says is not what it has to say; the message is for the log."""


class SocialSignInRefused(Exception):
    """A sentence for whoever has come back from a provider."""


@dataclass(frozen=True)
class Identity:
    """An account elsewhere, of whoever has just signed in there."""

    issuer: str
    subject: str
    email: str = ""
    email_is_verified: bool = False
    """Whether the provider says that the address is theirs."""


@dataclass(frozen=True)
class Provider:
    name: str
    """In addresses and settings."""
    label: str
    issuer: str
    """As its discovery document has it; with `TENANT` in it where each has its own."""
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def discovery_url(self) -> str:
        return self.issuer.replace(TENANT, "common") + DISCOVERY_PATH

    def vouches_by(self, issuer: str) -> bool:
        """Whether an account of this issuer is one of this provider's."""
        before, tenant, after = self.issuer.partition(TENANT)
        return issuer.startswith(before) and issuer.endswith(after) if tenant else issuer.rstrip("/") == self.issuer


def configured_providers(settings: Settings) -> list[Provider]:
    """Those that the settings name, in the order of their buttons."""
    names = (name for name in SOCIAL_PROVIDERS if getattr(settings, f"{name}_client_id"))
    return [_provider(settings, name) for name in names]


def find_provider(settings: Settings, name: str) -> Provider | None:
    return next((provider for provider in configured_providers(settings) if provider.name == name), None)


def callback_url(settings: Settings, provider: Provider) -> str:
    """Where a provider sends people back to: each has its own, so no provider answers in the place of another."""
    return f"{site_url(settings)}{SOCIAL_PATH}/{provider.name}/callback"


def _provider(settings: Settings, name: str) -> Provider:
    own = settings.oidc_label, settings.oidc_url.removesuffix(DISCOVERY_PATH).rstrip("/")
    label, issuer = KNOWN.get(name, own)
    client_id, secret = getattr(settings, f"{name}_client_id"), getattr(settings, f"{name}_client_secret")
    return Provider(name, label, issuer, client_id, secret.get_secret_value())
