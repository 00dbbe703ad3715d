"""Where visitors come from: the site's own address, the proxy in front, and what it tells of them."""

from collections.abc import Iterator
from fnmatch import fnmatch
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.hosts import HOSTS
from opportune.ops.deploy.rules.deployment import Deployment, warning

TAKE_ANY_PORT = ("render", "railway", "linux")
"""Hosts that look where the site listens, or leave it to a proxy of one's own."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ADDRESS_HEADERS = {host.client_address_header.lower() for host in HOSTS.values() if host.client_address_header}


def check_base_url(deployment: Deployment) -> Iterator[Finding]:
    settings, recipe, domain = deployment.settings, deployment.recipe, deployment.answers.domain
    if domain and urlsplit(settings.base_url).hostname != domain:
        yield Finding(f"BASE_URL is not the address of your domain: set BASE_URL=https://{domain}.")
    elif not settings.base_url and not recipe.tells_address:
        example = f"https://your-site.{recipe.domain}" if recipe.domain else "https://example.org"
        words = recipe.where.get("BASE_URL") or f"Set BASE_URL={example}."
        yield Finding(f"BASE_URL is missing, and {recipe.host.title} does not tell it. {words}")
    elif urlsplit(settings.base_url).hostname in LOOPBACK:
        yield Finding(f"BASE_URL is {settings.base_url}, your own machine: set the address that visitors see.")
    elif settings.base_url.startswith("http://"):
        yield Finding("BASE_URL begins with http://: links would lead past TLS, and forms be refused. Write https://.")
    elif recipe.host.name == "compose" and deployment.values.get("BASE_URL", "").endswith("/"):
        yield Finding("BASE_URL ends with /, by which Caddy would serve that one page alone: leave the / out.")
    elif "example." in settings.base_url:
        yield Finding(f"BASE_URL is {settings.base_url}, an example: set the address that visitors see.")


def check_allowed_hosts(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    name = urlsplit(settings.base_url).hostname or ""
    if not settings.allowed_hosts or not name:
        return
    if not any(fnmatch(name, pattern) for pattern in settings.allowed_hosts):
        yield Finding(f"ALLOWED_HOSTS lacks {name}, the host of BASE_URL: every visitor would be refused. Add it.")


def check_listening(deployment: Deployment) -> Iterator[Finding]:
    settings, host = deployment.settings, deployment.host
    is_behind_own_proxy = host.name == "linux"
    if settings.host in LOOPBACK and not is_behind_own_proxy:
        yield Finding(f"HOST is {settings.host}, where {host.title} cannot reach the site: leave HOST out.")
    if is_behind_own_proxy and settings.host not in LOOPBACK and settings.trusted_proxies == "*":
        yield Finding("HOST lets everybody in past the proxy, and TRUSTED_PROXIES=* believes them: set HOST=127.0.0.1.")
    port = deployment.values.get("PORT", "")
    expected = deployment.recipe.sets.get("PORT", str(host.port))
    if port and port != expected and host.name not in TAKE_ANY_PORT:
        yield Finding(f"PORT is {port}, and {host.title} sends visitors to another: leave PORT out.")
    if settings.local_https:
        yield Finding("LOCAL_HTTPS is for your own machine: the host's proxy speaks plain HTTP. Leave it out.")


def check_proxies(deployment: Deployment) -> Iterator[Finding]:
    settings, recipe = deployment.settings, deployment.recipe
    if recipe.host.is_tls_ended_before and not settings.trusted_proxies:
        wanted = {**recipe.asks, **recipe.sets}["TRUSTED_PROXIES"]
        yield Finding(
            f"TRUSTED_PROXIES is empty: links would begin with http://, and every visitor have the proxy's address. "
            f"Set TRUSTED_PROXIES={wanted}."
        )


def check_address_header(deployment: Deployment) -> Iterator[Finding]:
    given = deployment.values.get("CLIENT_ADDRESS_HEADER", "")
    wanted, title = deployment.host.client_address_header, deployment.host.title
    if wanted and given and given.lower() != wanted.lower():
        yield Finding(
            f"CLIENT_ADDRESS_HEADER is {given}, which visitors can write themselves there: leave it out, for {wanted}."
        )
    elif not wanted and given.lower() in ADDRESS_HEADERS:
        yield warning(
            f"CLIENT_ADDRESS_HEADER is {given}, which {title} is not known to replace: visitors could write it "
            "themselves. Leave it out, unless a proxy of yours sets it."
        )
