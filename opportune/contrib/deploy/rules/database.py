"""Rules for the database: persistence, network access, connections, poolers and TLS."""

import re
from collections.abc import Iterator

from opportune.checks import Finding
from opportune.config.settings import Settings
from opportune.config.validated_settings import MIN_CONNECTIONS
from opportune.contrib.deploy.recipes import SETTING_HINTS
from opportune.contrib.deploy.rules.deployment import Deployment
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.replicas import SETTING, parse_replicas
from opportune.errors import OperatorError
from opportune.plurals import pluralize

IPV6_ONLY = re.compile(r"^db\.\w+\.supabase\.co$")
INTERNAL_NAMES = (
    (re.compile(r"\.railway\.internal$"), "railway", "use DATABASE_PUBLIC_URL"),
    (re.compile(r"^dpg-\w+-\w$"), "render", "use the External Database URL"),
    (re.compile(r"\.(?:flympg\.net|flycast)$"), "fly", "use a database with a public address"),
)
"""Names that only resolve in one host's private network."""
MAX_CONNECTIONS = {
    "Supabase": 15,  # server connections of its session pooler on Nano
    "Heroku": 20,
    "Aiven": 20,
    "DigitalOcean": 22,
    "Fly.io": 50,
    "Neon": 97,
    "Render": 97,
    "Railway": 100,
}
"""Connections that a provider's smallest database allows without a pooler."""
DIRECT_PRISMA_CONNECTIONS = 5


def check_database_url(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    for name in ("DATABASE_URL", "DATABASE_DIRECT_URL", SETTING):
        if not (text := getattr(settings, name.lower()).get_secret_value()):
            continue
        try:
            if name == SETTING:
                parse_replicas(text, settings.database_pooled)
            else:
                DatabaseUrl.parse(text, settings.database_pooled, name)
        except OperatorError as error:
            yield Finding(str(error))


def check_sqlite(deployment: Deployment) -> Iterator[Finding]:
    if not deployment.database or deployment.database.kind != "sqlite":
        return
    is_set = "DATABASE_URL" in deployment.values
    start = "DATABASE_URL is SQLite" if is_set else "DATABASE_URL is missing, so the site uses SQLite"
    hint = {**SETTING_HINTS, **deployment.recipe.hints}.get("DATABASE_URL", "")
    if deployment.machines > 1:
        yield Finding(f"{start}, which does not work on several machines. {hint}".strip())
    elif deployment.keeps_data:
        return
    elif deployment.options.may_lose_data:
        yield Finding.warning(f"{start}, which is empty after each restart on {deployment.host.title}.")
    elif deployment.keeps_data is None:
        loss = f"which {deployment.host.title} deletes at the next deploy unless it is on a volume"
        yield Finding.warning(f"{start}, {loss}. {hint}")
    else:
        yield Finding(f"{start}, which {deployment.host.title} deletes at the next deploy. {hint}")


def check_reach(deployment: Deployment) -> Iterator[Finding]:
    """Check that the host's network reaches the database."""
    for server in deployment.postgresql.hosts if deployment.postgresql else ():
        yield from _check_server_name(deployment, server.name)
        yield from check_port(deployment, server.port or 5432, "DATABASE_URL")


def _check_server_name(deployment: Deployment, name: str) -> Iterator[Finding]:
    host = deployment.host
    if IPV6_ONLY.search(name) and not deployment.recipe.has_ipv6:
        yield Finding(
            f"DATABASE_URL is Supabase's direct address, which only has IPv6, and {host.title} does not support IPv6: "
            "use the session pooler (Connect, Session pooler: port 5432)."
        )
    for pattern, owner, advice in INTERNAL_NAMES:
        if pattern.search(name):
            if host.name != owner:
                yield Finding(f"DATABASE_URL names {name}, which only exists in another host's network: {advice}.")
            return
    if deployment.is_out_of_reach(f"//{name}") and not name.startswith("/"):
        yield Finding(f"DATABASE_URL names {name}, which the host cannot reach: use a database on the internet.")


def check_port(deployment: Deployment, port: int, name: str) -> Iterator[Finding]:
    """Report a setting whose outgoing port the host blocks."""
    host = deployment.host
    if host.open_ports and port not in host.open_ports:
        ports = ", ".join(map(str, host.open_ports))
        yield Finding(f"{name} uses port {port}, but {host.title} only allows {ports}.")
    elif port in host.blocked_ports:
        recipe = deployment.recipe
        limited_plans = f"plans below {recipe.first_paid_plan}" if recipe.first_paid_plan else "free plans"
        plans = f" on {limited_plans}" if "blocked_ports" in recipe.free_limits else ""
        yield Finding(
            f"{name} uses port {port}, which {host.title} blocks{plans}: "
            "use a provider with an HTTPS API, such as resend://KEY, or port 2525 (oppman.py docs mail).",
            is_error=deployment.options.is_paid is not None or not recipe.free_limits,
        )


def check_pooler(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    if deployment.postgresql is None:
        return
    named_pooler = DatabaseUrl.parse(settings.database_url.get_secret_value()).pooled
    is_pooled = deployment.postgresql.pooled or named_pooler or bool(deployment.options.has_pooler)
    direct = settings.database_direct_url.get_secret_value()
    if is_pooled and not direct:
        advice = f"set DATABASE_DIRECT_URL to {deployment.postgresql.direct or 'the direct URL'}."
        yield Finding.warning(f"Migrations would use the pooler of DATABASE_URL: {advice}")
    if direct and not is_pooled and direct == settings.database_url.get_secret_value():
        yield Finding.warning("DATABASE_DIRECT_URL is the same as DATABASE_URL: remove it.")
    if is_pooled and settings.database_pooled == "false":
        yield Finding(
            "DATABASE_POOLED=false uses prepared statements, which do not work with a pooler: set DATABASE_POOLED=auto."
        )


def check_connections(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    if deployment.postgresql is None:
        return
    processes = deployment.processes
    needed = settings.database_connections or 2 * sum(settings.pool_size) * processes
    limit = _connection_limit(deployment.postgresql)
    if limit is not None and needed > limit:
        yield Finding.warning(
            f"{pluralize(processes, 'process', 'processes')} may open {needed} connections, but the smallest database "
            f"of {deployment.postgresql.provider} allows {limit}: {_advise_connections(settings, limit, processes)}."
        )


def _advise_connections(settings: Settings, limit: int, processes: int) -> str:
    size = max(1, limit // (4 * processes))
    if not settings.database_connections:
        return f"set DATABASE_POOL_SIZE={size} and DATABASE_MAX_OVERFLOW={size}"
    if limit >= MIN_CONNECTIONS * settings.processes:
        return f"set DATABASE_CONNECTIONS={limit}"
    return f"use its pooler, or set DATABASE_CONNECTIONS={limit} and PROCESSES={limit // MIN_CONNECTIONS}"


def _connection_limit(url: DatabaseUrl) -> int | None:
    if url.provider == "Prisma Postgres":
        return None if url.pooled else DIRECT_PRISMA_CONNECTIONS
    if url.pooled and url.provider != "Supabase":
        return None
    if url.provider == "Supabase" and any(server.port == 6543 for server in url.hosts):
        return None
    return MAX_CONNECTIONS.get(url.provider)


def check_tls(deployment: Deployment) -> Iterator[Finding]:
    url = deployment.postgresql
    if url and not url.is_local and url.url.query.get("sslmode") in ("disable", "allow"):
        yield Finding("DATABASE_URL disables TLS, so password and data would be unencrypted: use sslmode=require.")
