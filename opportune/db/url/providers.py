"""What the hosts of the well-known PostgreSQL providers tell: whose it is, and what stands in front of it."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from opportune.db.url.parser import Host

# Ports that nothing but a pooler uses, and names that poolers go by wherever they run.
POOLER_PORTS = {6432, 6438, 6543}
POOLERS = re.compile(r"pooler|pgbouncer|pgcat|pgpool|supavisor|leapcellpool\.com$")
LOCAL_NAMES = re.compile(r"[^.]*|.*\.(?:localhost|internal|local|localdomain|lan|home\.arpa|flycast|svc)")


@dataclass(frozen=True)
class Provider:
    """`hosts` tells it by its hosts, `pooler` its pooler by `host:port`."""

    name: str
    hosts: str
    pooler: str = ""
    direct: str = ""
    """The address without the pooler, in words that follow "set DATABASE_DIRECT_URL to"."""
    notice: str = ""
    """What everybody should know who uses it with this program."""


PROVIDERS = (
    Provider("Neon", r"\.neon\.tech", direct="the same address without -pooler in its host"),
    Provider(
        "Supabase",
        r"\.supabase\.(?:co|com)",
        pooler=r"pooler\.supabase\.com:",
        direct="Supabase's session pooler: the same address with port 5432",
    ),
    Provider("Leapcell", r"\.leapcellpool\.com"),
    Provider("Railway", r"\.railway\.internal|\.rlwy\.net"),
    Provider("Render", r"^dpg-\w+-\w(?:\.[\w-]+\.render\.com)?"),
    Provider("Fly.io", r"\.flympg\.net|\.flycast", direct="the same address with the host direct.….flympg.net"),
    Provider("DigitalOcean", r"\.db\.ondigitalocean\.com", pooler=":25061$", direct="the address with port 25060"),
    Provider("Aiven", r"\.aivencloud\.com"),
    Provider(
        "Prisma Postgres", r"db\.prisma\.io", pooler=r"^pooled\.", direct="the address with the host db.prisma.io"
    ),
    Provider("Xata", r"\.xata\.(?:sh|tech)", direct="the same address with -rw in place of -pooler"),
    Provider("AWS RDS", r"\.rds\.amazonaws\.com", pooler=r"\.proxy-"),
    Provider("Heroku", r"^ec2-[\w.-]+\.amazonaws\.com"),
    Provider("Azure", r"\.postgres\.database\.azure\.com"),
    Provider("Google Cloud SQL", r"^/cloudsql/.*"),
    Provider(
        "CockroachDB",
        r"\.cockroachlabs\.cloud",
        notice="CockroachDB speaks PostgreSQL's language with differences: this program is not tested with it.",
    ),
    Provider(
        "Nile",
        r"\.thenile\.dev",
        notice="Nile has tables of its own for users and tenants: this program is not tested with it.",
    ),
)
UNKNOWN = Provider("", "")

# Hosts that only some machines can reach, and what to take on the others.
UNREACHABLE = (
    (
        r"^db\.\w+\.supabase\.co$",
        "Supabase's direct host answers over IPv6 only. Where there is none, take the session pooler's address "
        "(Connect, Session pooler: aws-….pooler.supabase.com:5432).",
    ),
    (r"\.railway\.internal$", "This host is known inside Railway only: elsewhere take DATABASE_PUBLIC_URL."),
    (
        r"^dpg-\w+-\w$",
        "This host is known inside Render only, in its own region: elsewhere take the External Database URL.",
    ),
    (
        r"\.(?:flympg\.net|flycast|internal)$",
        "This host is known inside a private network only, such as Fly.io's: elsewhere use a tunnel (fly mpg proxy).",
    ),
)


def provider_of(hosts: tuple[Host, ...]) -> Provider:
    for provider in PROVIDERS:
        if any(re.search(f"(?:{provider.hosts})$", host.name.lower()) for host in hosts):
            return provider
    return UNKNOWN


def is_pooler(host: Host, provider: Provider) -> bool:
    """Whether name and port are those of a pooler. Elsewhere a pooler cannot be told from the server."""
    name = host.name.lower()
    if host.port in POOLER_PORTS or (POOLERS.search(name) and not host.is_socket):
        return True
    return bool(provider.pooler and re.search(provider.pooler, f"{name}:{host.port or ''}"))


def is_local(host: str) -> bool:
    """Whether it is this machine or one beside it, where TLS and keys are unusual."""
    try:
        return not ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return host.startswith(("/", "@")) or bool(LOCAL_NAMES.fullmatch(host.lower().rstrip(".")))


def advice_if_unreachable(host: str) -> str:
    """What to take instead where this host cannot be reached, or nothing."""
    return next((advice for pattern, advice in UNREACHABLE if re.search(pattern, host.lower())), "")
