"""Rules for the site's address, ports and proxies."""

from collections.abc import Iterator
from fnmatch import fnmatch
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.hosts import HOSTS
from opportune.contrib.deploy.rules.deployment import Deployment, warning

TAKE_ANY_PORT = ("render", "railway", "linux")
"""Hosts that detect the site's port, or leave it to your own proxy."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ADDRESS_HEADERS = {host.client_address_header.lower() for host in HOSTS.values() if host.client_address_header}


def check_base_url(deployment: Deployment) -> Iterator[Finding]:
    settings, recipe, domain = deployment.settings, deployment.recipe, deployment.options.domain
    if domain and urlsplit(settings.base_url).hostname != domain:
        yield Finding(f"BASE_URL is not the address of your domain: set BASE_URL=https://{domain}.")
    elif not settings.base_url and not recipe.provides_url:
        example = f"https://your-site.{recipe.domain}" if recipe.domain else "https://example.org"
        hint = recipe.hints.get("BASE_URL") or f"Set BASE_URL={example}."
        yield Finding(f"BASE_URL is missing. {hint}")
    elif urlsplit(settings.base_url).hostname in LOOPBACK:
        yield Finding(f"BASE_URL is {settings.base_url}, your own machine: set it to the public address.")
    elif settings.base_url.startswith("http://"):
        yield Finding("BASE_URL begins with http://, so links would avoid TLS and forms would fail: use https://.")
    elif recipe.host.name == "compose" and deployment.values.get("BASE_URL", "").endswith("/"):
        yield Finding("BASE_URL ends with /, so Caddy would only serve the start page: remove the /.")
    elif "example." in settings.base_url:
        yield Finding(f"BASE_URL is {settings.base_url}, an example: set it to the public address.")


def check_allowed_hosts(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    name = urlsplit(settings.base_url).hostname or ""
    if not settings.allowed_hosts or not name:
        return
    if not any(fnmatch(name, pattern) for pattern in settings.allowed_hosts):
        yield Finding(f"ALLOWED_HOSTS lacks {name}, the host of BASE_URL, so all requests would be refused: add it.")


def check_listening(deployment: Deployment) -> Iterator[Finding]:
    settings, host = deployment.settings, deployment.host
    is_behind_own_proxy = host.name == "linux"
    if settings.host in LOOPBACK and not is_behind_own_proxy:
        yield Finding(f"HOST is {settings.host}, where {host.title} cannot reach the site: remove HOST.")
    if is_behind_own_proxy and settings.host not in LOOPBACK and settings.trusted_proxies == "*":
        yield Finding(
            "HOST allows requests past the proxy, and TRUSTED_PROXIES=* trusts their headers: set HOST=127.0.0.1."
        )
    port = deployment.values.get("PORT", "")
    expected = deployment.recipe.sets.get("PORT", str(host.port))
    if port and port != expected and host.name not in TAKE_ANY_PORT:
        yield Finding(f"PORT is {port}, but {host.title} uses another port: remove PORT.")
    if settings.local_https:
        yield Finding("LOCAL_HTTPS is only for your own machine, because the host's proxy uses plain HTTP: remove it.")


def check_proxies(deployment: Deployment) -> Iterator[Finding]:
    settings, recipe = deployment.settings, deployment.recipe
    if recipe.host.is_tls_ended_before and not settings.trusted_proxies:
        proxies = {**recipe.defaults, **recipe.sets}["TRUSTED_PROXIES"]
        yield Finding(
            "TRUSTED_PROXIES is empty, so links would begin with http:// and all visitors would have the proxy's "
            f"address: set TRUSTED_PROXIES={proxies}."
        )


def check_address_header(deployment: Deployment) -> Iterator[Finding]:
    header = deployment.values.get("CLIENT_ADDRESS_HEADER", "")
    expected = deployment.host.client_address_header
    if expected and header and header.lower() != expected.lower():
        yield Finding(
            f"CLIENT_ADDRESS_HEADER is {header}, which clients can forge here: remove it, {expected} is the default."
        )
    elif not expected and header.lower() in ADDRESS_HEADERS:
        yield warning(
            f"CLIENT_ADDRESS_HEADER is {header}, which clients may be able to forge on {deployment.host.title}: "
            "remove it, unless your own proxy sets it."
        )
