"""Rules for the site's server: its address, ports and proxies, its processes, memory and time limits."""

from collections.abc import Iterator
from fnmatch import fnmatch
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.hosts import HOSTS, RESERVED_STOP_SECONDS
from opportune.contrib.deploy.rules.deployment import LOOPBACK, Deployment

TAKE_ANY_PORT = ("render", "railway", "linux")
"""Hosts that detect the site's port, or leave it to your own proxy."""
ADDRESS_HEADERS = {host.client_address_header.lower() for host in HOSTS.values() if host.client_address_header}
WORKER_MEMORY_BYTES = 130 * 1024 * 1024
"""Memory of a worker with all features and a few users signing in."""


def check_base_url(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    recipe = deployment.recipe
    domain = deployment.options.domain
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
    elif _is_example(urlsplit(settings.base_url).hostname or ""):
        yield Finding(f"BASE_URL is {settings.base_url}, an example: set it to the public address.")


def _is_example(host: str) -> bool:
    """Return whether a host is reserved for documentation, such as `books.example.org`."""
    labels = host.split(".")
    return labels[-1] == "example" or labels[-2:-1] == ["example"]


def check_allowed_hosts(deployment: Deployment) -> Iterator[Finding]:
    name = urlsplit(deployment.settings.base_url).hostname or ""
    if not deployment.settings.allowed_hosts or not name:
        return
    if not any(fnmatch(name, pattern) for pattern in deployment.settings.allowed_hosts):
        yield Finding(f"ALLOWED_HOSTS lacks {name}, the host of BASE_URL, so all requests would be refused: add it.")


def check_listening(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    host = deployment.host
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
    if not deployment.settings.trusted_proxies:
        proxies = {**deployment.recipe.defaults, **deployment.recipe.sets}["TRUSTED_PROXIES"]
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
        yield Finding.warning(
            f"CLIENT_ADDRESS_HEADER is {header}, which clients may be able to forge on {deployment.host.title}: "
            "remove it, unless your own proxy sets it."
        )


def check_environment(deployment: Deployment) -> Iterator[Finding]:
    """Check the total size of all environment variables."""
    limit = deployment.host.max_environment_bytes
    size = sum(len(f"{name}={value}".encode()) for name, value in deployment.values.items())
    if limit and size > limit:
        longest = max(deployment.values, key=lambda name: len(deployment.values[name]))
        yield Finding(
            f"The settings have {size:,} bytes, but {deployment.host.title} allows {limit:,}. The longest is "
            f"{longest}. Move settings that are not secret to app/settings.py."
        )


def check_grace(deployment: Deployment) -> Iterator[Finding]:
    grace = deployment.settings.answer_grace_seconds
    delay = deployment.settings.stop_delay_seconds
    stop_seconds = max(deployment.recipe.stop_seconds or 0, deployment.host.stop_seconds)
    available = max(0, stop_seconds - RESERVED_STOP_SECONDS)
    if delay > available:
        yield Finding(
            f"STOP_DELAY_SECONDS is {delay:g}, but {deployment.host.title} kills the site after {stop_seconds:g} s."
        )
    elif grace is not None and grace + delay > available:
        total = f" plus {delay:g} of STOP_DELAY_SECONDS" if delay else ""
        yield Finding(
            f"ANSWER_GRACE_SECONDS is {grace:g}{total}, but {deployment.host.title} kills the site after "
            f"{stop_seconds:g} s: set at most {available - delay:g}."
        )


def check_jobs(deployment: Deployment) -> Iterator[Finding]:
    jobs = deployment.settings.jobs
    host = deployment.host
    if jobs == "off":
        yield Finding.warning("JOBS=off: no jobs run, so no e-mail is sent.")
    elif not host.runs_between_requests and jobs == "inline":
        yield Finding(f"JOBS=inline: on {host.title} nothing runs between requests. Set JOBS=request.")
    elif jobs == "worker" and "JOBS" not in deployment.recipe.sets:
        yield Finding.warning("JOBS=worker: also run oppman.py worker with the same settings, or jobs and e-mail wait.")
    elif jobs == "request" and host.runs_between_requests:
        yield Finding.warning(
            f"JOBS=request delays jobs without need, as {host.title} runs between requests: remove JOBS."
        )
    elif jobs == "inline" and host.sleeps_after_seconds:
        yield Finding.warning(f"{host.title} sleeps without requests: scheduled jobs run after the next request.")


def check_memory(deployment: Deployment) -> Iterator[Finding]:
    memory = deployment.host.memory_bytes
    workers = deployment.options.workers
    if memory and workers > 1 and workers * WORKER_MEMORY_BYTES > memory:
        max_workers = max(1, memory // WORKER_MEMORY_BYTES)
        yield Finding(
            f"{workers} workers need about {workers * WORKER_MEMORY_BYTES // 1024**2} MB, but the smallest machine "
            f"of {deployment.host.title} has {memory // 1024**2} MB: use --workers {max_workers}, or a larger machine.",
            is_error=not deployment.options.is_paid,
        )


def check_llm_timeout(deployment: Deployment) -> Iterator[Finding]:
    total = deployment.recipe.stream_total_seconds or deployment.host.stream_total_seconds
    if total and not deployment.host.runs_between_requests and deployment.settings.llm_timeout > total:
        yield Finding.warning(
            f"LLM_TIMEOUT is {deployment.settings.llm_timeout:g} s, but {deployment.host.title} ends each response "
            f"after {total:g} s: longer answers stay unfinished."
        )
