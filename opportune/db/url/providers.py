"""Detection of PostgreSQL providers and poolers by their hosts."""

import re
from ipaddress import ip_address
from typing import NamedTuple

from opportune.db.url.parser import Host

POOLER_PORTS = {6432, 6438, 6543}
"""Ports that only poolers use."""
POOLERS = re.compile(r"pooler|pgbouncer|pgcat|pgpool|supavisor|leapcellpool\.com$")
LOCAL_NAMES = re.compile(r"[^.]*|.*\.(?:localhost|internal|local|localdomain|lan|home\.arpa|flycast|svc)")


class Provider(NamedTuple):
    """PostgreSQL provider. `hosts` matches the end of its hosts, `pooler` any part of `host:port` of its pooler."""

    name: str
    hosts: str
    pooler: str = ""
    direct: str = ""
    """Description of the URL without the pooler, to complete "set DATABASE_DIRECT_URL to"."""
    notice: str = ""
    """Notice for every URL of this provider."""


PROVIDERS = (
    Provider("Neon", r"\.neon\.tech", direct="the same URL without -pooler in its host"),
    Provider(
        "Supabase",
        r"\.supabase\.(?:co|com)",
        pooler=r"pooler\.supabase\.com:",
        direct="Supabase's session pooler: the same URL with port 5432",
    ),
    Provider("Leapcell", r"\.leapcellpool\.com"),
    Provider("Railway", r"\.railway\.internal|\.rlwy\.net"),
    Provider("Render", r"^dpg-\w+-\w(?:\.[\w-]+\.render\.com)?"),
    Provider("Fly.io", r"\.flympg\.net|\.flycast", direct="the same URL with the host direct.….flympg.net"),
    Provider("DigitalOcean", r"\.db\.ondigitalocean\.com", pooler=":25061$", direct="the URL with port 25060"),
    Provider("Aiven", r"\.aivencloud\.com"),
    Provider("Prisma Postgres", r"db\.prisma\.io", pooler=r"^pooled\.", direct="the URL with the host db.prisma.io"),
    Provider("Xata", r"\.xata\.(?:sh|tech)", direct="the same URL with -rw instead of -pooler"),
    Provider("AWS RDS", r"\.rds\.amazonaws\.com", pooler=r"\.proxy-"),
    Provider("Heroku", r"^ec2-[\w.-]+\.amazonaws\.com"),
    Provider("Azure", r"\.postgres\.database\.azure\.com"),
    Provider("Google Cloud SQL", r"^/cloudsql/.*"),
    Provider("CockroachDB", r"\.cockroachlabs\.cloud", notice="CockroachDB differs from PostgreSQL and is not tested."),
    Provider("Nile", r"\.thenile\.dev", notice="Nile manages its own tables of users and tenants and is not tested."),
)
UNKNOWN = Provider("", "")

# Hosts that only some machines can reach, and advice for the others.
UNREACHABLE = (
    (
        r"^db\.\w+\.supabase\.co$",
        "Supabase's direct host supports only IPv6. Without IPv6, use the URL of the session pooler "
        "(Connect, Session pooler: aws-….pooler.supabase.com:5432).",
    ),
    (r"\.railway\.internal$", "This host works only inside Railway. Elsewhere use DATABASE_PUBLIC_URL."),
    (r"^dpg-\w+-\w$", "This host works only inside Render, in its region. Elsewhere use the External Database URL."),
    (
        r"\.(?:flympg\.net|flycast|internal)$",
        "This host works only inside a private network, such as Fly.io's. Elsewhere use a tunnel (fly mpg proxy).",
    ),
)


def provider_of(hosts: tuple[Host, ...]) -> Provider:
    for provider in PROVIDERS:
        if any(re.search(f"(?:{provider.hosts})$", host.name.lower()) for host in hosts):
            return provider
    return UNKNOWN


def is_pooler(host: Host, provider: Provider) -> bool:
    """Return whether host name or port indicates a pooler."""
    name = host.name.lower()
    if host.port in POOLER_PORTS or (POOLERS.search(name) and not host.is_socket):
        return True
    return bool(provider.pooler and re.search(provider.pooler, f"{name}:{host.port or ''}"))


def is_local(host: str) -> bool:
    """Return whether a host is this machine or in a private network, where TLS is unusual."""
    try:
        return not ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return host.startswith(("/", "@")) or bool(LOCAL_NAMES.fullmatch(host.lower().rstrip(".")))


def advice_if_unreachable(host: str) -> str:
    """Return advice if the host may be unreachable from this machine, or an empty string."""
    return next((advice for pattern, advice in UNREACHABLE if re.search(pattern, host.lower())), "")
