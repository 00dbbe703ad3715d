"""The database: whether it is kept, reached, and has enough connections."""

import re
from collections.abc import Iterator

from opportune.checks import Finding
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.ops.deploy.recipes import WHERE
from opportune.ops.deploy.rules.deployment import Deployment, warning

IPV6_ALONE = re.compile(r"^db\.\w+\.supabase\.co$")
INSIDE = (
    (re.compile(r"\.railway\.internal$"), "railway", "take DATABASE_PUBLIC_URL"),
    (re.compile(r"^dpg-\w+-\w$"), "render", "take the External Database URL"),
    (re.compile(r"\.(?:flympg\.net|flycast)$"), "fly", "take a database that is open to the internet"),
)
"""Names that only one host's own network knows."""
MAX_CONNECTIONS = {
    "Supabase": 15,  # the server connections of its session pooler on Nano
    "Heroku": 20,
    "Aiven": 20,
    "DigitalOcean": 22,
    "Fly.io": 50,
    "Neon": 97,
    "Render": 97,
    "Railway": 100,
}
"""Connections of a provider's smallest database that are ours to use, where there is no pooler."""
DIRECT_PRISMA_CONNECTIONS = 5


def check_database_url(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    for name in ("DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_READER_URL"):
        if not (text := getattr(settings, name.lower()).get_secret_value()):
            continue
        try:
            DatabaseURL.parse(text, settings.database_pooled, name)
        except OperatorError as error:
            yield Finding(str(error))


def check_sqlite(deployment: Deployment) -> Iterator[Finding]:
    url, host = deployment.database, deployment.host
    if not url or url.kind != "sqlite":
        return
    is_given = "DATABASE_URL" in deployment.values
    begin = "DATABASE_URL is SQLite" if is_given else "DATABASE_URL is missing, which means SQLite"
    mend = {**WHERE, **deployment.recipe.where}.get("DATABASE_URL", "")
    if deployment.keeps_data:
        if deployment.recipe.processes > 1:
            yield Finding(f"{begin}, which is for one machine, and there are several of them. {mend}")
    elif deployment.answers.may_lose_data:
        yield warning(f"{begin}, and {host.title} keeps no files: it is empty after each restart.")
    elif deployment.keeps_data is None:
        yield warning(f"{begin}: unless it is on a volume, {host.title} loses it at the next deploy. {mend}")
    else:
        yield Finding(f"{begin}, and {host.title} keeps no files: all data would be lost at the next deploy. {mend}")


def check_reach(deployment: Deployment) -> Iterator[Finding]:
    """Whether the host's network leads to the database's."""
    url = deployment.database
    if not url or url.kind != "postgresql":
        return
    for place in url.hosts:
        yield from _of_name(deployment, place.name)
        yield from blocked(deployment, place.port or 5432, "DATABASE_URL")


def _of_name(deployment: Deployment, name: str) -> Iterator[Finding]:
    host = deployment.host
    if IPV6_ALONE.search(name) and not deployment.recipe.has_ipv6:
        yield Finding(
            f"DATABASE_URL is Supabase's direct address, which has IPv6 alone, and {host.title} does not reach that: "
            "take the session pooler's (Connect, Session pooler: port 5432)."
        )
    for pattern, owner, advice in INSIDE:
        if pattern.search(name):
            if host.name != owner:
                yield Finding(f"DATABASE_URL names {name}, which is known inside another host only: {advice}.")
            return
    if deployment.is_out_of_reach(f"//{name}") and not name.startswith("/"):
        yield Finding(f"DATABASE_URL names {name}, which the host cannot reach: take one on the internet.")


def blocked(deployment: Deployment, port: int, name: str) -> Iterator[Finding]:
    """What the host's rules for ports elsewhere say to one."""
    host = deployment.host
    if host.open_ports and port not in host.open_ports:
        ports = ", ".join(map(str, host.open_ports))
        yield Finding(f"{name} wants port {port}, and {host.title} lets out {ports} alone.")
    elif port in host.blocked_ports:
        yield Finding(
            f"{name} wants port {port}, which {host.title} shuts"
            + (f" on {deployment.recipe.limited_plans}" if "blocked_ports" in deployment.recipe.paid_lifts else "")
            + ": set a provider over HTTPS, such as resend://KEY, or a server with port 2525 (docs/mail.md).",
            is_error=deployment.is_plan_known,
        )


def check_pooler(deployment: Deployment) -> Iterator[Finding]:
    url, settings = deployment.database, deployment.settings
    if not url or url.kind != "postgresql":
        return
    named_pooler = DatabaseURL.parse(settings.database_url.get_secret_value()).pooled
    is_pooled = url.pooled or named_pooler or bool(deployment.answers.has_pooler)
    direct = settings.database_direct_url.get_secret_value()
    if is_pooled and not direct:
        where = url.direct or "the database's own address"
        yield warning(f"DATABASE_URL goes through a pooler, as do migrations: set DATABASE_DIRECT_URL to {where}.")
    if direct and not is_pooled and direct == settings.database_url.get_secret_value():
        yield warning("DATABASE_DIRECT_URL is the same as DATABASE_URL: leave it out.")
    if is_pooled and settings.database_pooled == "false":
        yield Finding(
            "DATABASE_POOLED=false has statements prepared, which a pooler gives to others: set DATABASE_POOLED=auto."
        )


def check_connections(deployment: Deployment) -> Iterator[Finding]:
    url, settings = deployment.database, deployment.settings
    if not url or url.kind != "postgresql":
        return
    processes = max(deployment.recipe.processes, deployment.answers.workers)
    ours = 2 * (settings.database_pool_size + settings.database_max_overflow) * processes
    limit = _limit(url)
    if limit is not None and ours > limit:
        fit = max(1, limit // (4 * processes))
        yield warning(
            f"{processes} process{'es' if processes > 1 else ''} may open {ours} connections, and the smallest "
            f"database of {url.provider} has {limit}: set DATABASE_POOL_SIZE={fit} and DATABASE_MAX_OVERFLOW={fit}."
        )


def _limit(url: DatabaseURL) -> int | None:
    if url.provider == "Prisma Postgres":
        return None if url.pooled else DIRECT_PRISMA_CONNECTIONS
    if url.pooled and url.provider != "Supabase":
        return None
    if url.provider == "Supabase" and any(place.port == 6543 for place in url.hosts):
        return None
    return MAX_CONNECTIONS.get(url.provider)


def check_tls(deployment: Deployment) -> Iterator[Finding]:
    """An address without TLS on the open internet."""
    url = deployment.database
    is_plain = url and url.kind == "postgresql" and url.url.query.get("sslmode") in ("disable", "allow")
    if url and is_plain and not url.is_local:
        yield Finding("DATABASE_URL says sslmode=disable: password and rows would travel in the open. Use require.")
