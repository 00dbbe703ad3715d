"""What follows the scheme of a PostgreSQL address, taken apart as libpq does, and more forgiving of raw passwords."""

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote

from opportune.config.host_names import ascii_host

MAX_PORT = 65535
EXAMPLES = "Use sqlite:///./data/app.db or postgresql://user:password@host/name"
ESCAPES = "In a user or password write %40 for @, %2F for /, %3F for ?, %3A for : and %25 for %."

# Where libpq listens for want of a host: on Debian and its kind, and everywhere else.
SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")  # noqa: S108 - a place to look, not to write

HOST = r"(?:\[[^\]/?@]*\]|[\w.%-]*)(?::[0-9]*)?"
HOSTS = rf"(?P<hosts>{HOST}(?:,{HOST})*)"
PLACE = re.compile(rf"{HOSTS}(?:/(?P<database>[^?@\s]*))?(?:\?(?P<query>(?:[^\s=&]+=[^\s&]*|&)*))?")
PLACE_WITH_DATABASE = re.compile(rf"{HOSTS}/(?P<database>[^?@\s]+)(?:\?(?P<query>\S*))?")
HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
HOST_NAME = re.compile(r"(?=.{1,253}$)(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?")
PLACEHOLDER = re.compile(r"[\[<{][A-Za-z][\w .-]*[\]>}]")
# Nobody's password, but what stands in its place: [YOUR-PASSWORD], <password>, {{pw}}, your_password, ********
NO_PASSWORD = re.compile(
    r"[\[<{$(]+[\w .:-]*(?:pass|pwd|pw|secret)[\w .:-]*[\]>})]+|your[-_ ]?(?:\w+[-_ ])?(?:password|passwd|pwd)|[*•]+",
    re.IGNORECASE,
)


class InvalidURL(Exception):
    """Why an address cannot be used, in words that follow the setting's name. Holds no password."""


class Host(NamedTuple):
    """A name, an IP address or the folder of a Unix socket."""

    name: str
    port: int | None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name and not self.is_socket else self.name
        return f"{name}:{self.port}" if self.port else name

    @property
    def is_socket(self) -> bool:
        return self.name.startswith(("/", "@"))


@dataclass(frozen=True)
class ParsedURL:
    """The parts, decoded. `options` holds what is left of the query, its names in lower case."""

    user: str
    password: str = field(repr=False)
    hosts: tuple[Host, ...]
    database: str
    options: dict[str, str] = field(repr=False)  # some of them are secrets
    is_raw: bool
    """Whether user or password hold characters that other programs would trip over."""


def parse_postgresql_url(text: str) -> ParsedURL:
    """Take apart what follows `postgresql://`.

    Raises:
        Unusable: it has no reading, or more than one.
    """
    credentials, place = _split(text)
    options = _options(place["query"] or "")
    if "host" not in options and not re.search(r"[^:0-9]", place["hosts"]) and "hostaddr" in options:
        options["host"] = options.pop("hostaddr")
    user, _, password = credentials.partition(":")
    address = ParsedURL(
        user=options.pop("user", "") or _decoded(user),
        password=options.pop("password", "") or _decoded(password),
        hosts=_hosts(place["hosts"], options.pop("host", ""), options.pop("port", "")),
        database=options.pop("dbname", "") or _decoded(place["database"] or ""),
        options=options,
        is_raw=not set("@/?#").isdisjoint(credentials),
    )
    _refuse_placeholders(address)
    return address if address.hosts else _with_default_host(address, is_bare=text.startswith("/"))


def _split(text: str) -> tuple[str, re.Match[str]]:
    """Credentials and place. A raw password is understood where that leaves one reading and no more."""
    end = re.search(r"[/?]|$", text)
    at = text.rfind("@", 0, end.start() if end else None)
    literal = PLACE.fullmatch(text, at + 1)
    if literal and at >= 0:
        return text[:at], literal
    readings = [
        (text[: at.start()], place)
        for at in re.finditer("@", text)
        if (place := PLACE_WITH_DATABASE.fullmatch(text, at.end()))
    ]
    if len(readings) == 1:
        return readings[0]
    if literal and not readings:
        return "", literal
    raise InvalidURL(_fault(text))


def _fault(text: str) -> str:
    """What is wrong with a text that cannot be read. Shows none of it: any piece may be one of the password."""
    if PLACEHOLDER.search(text):
        return "still holds a placeholder in brackets: put the value that your provider shows in its place."
    if text.count("@") > 1 or re.search(r"[/?#].*@", text):
        return f"can be read in more than one way. {ESCAPES}"
    authority = re.split("[/?]", text)[0].rpartition("@")[2]
    if re.search(r":[^:\],]*[^0-9:\],]", authority.rpartition("]")[2]):
        return f"has a port that is no number. {ESCAPES}"
    if re.search(r"\s", text):
        return f"has a blank inside, for which %20 stands. {EXAMPLES}."
    return f"is not a database address. {EXAMPLES}."


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = _decoded(name).lower()
        # A password is rather one with a plus than with a space; elsewhere SQLAlchemy writes spaces so.
        value = _decoded(value) if name in ("user", "password") else _decoded(value.replace("+", " "))
        if name in ("host", "port") and name in options:
            value = f"{options[name]},{value}"  # SQLAlchemy's spelling of several
        if value:
            options[name] = value
    return options


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidURL(f"has a character written with % that is not in UTF-8. {ESCAPES}") from None
    if "\0" in decoded:
        raise InvalidURL("holds a NUL character (%00). Remove it.")
    return decoded


def _hosts(authority: str, named: str, ports: str) -> tuple[Host, ...]:
    """The hosts of the authority, or those of `?host=`, which win as with libpq. Empty if none is named."""
    hosts = [_host(word, is_encoded=True) for word in authority.split(",")]
    if named:
        port = None if hosts[0].name else hosts[0].port
        hosts = [_host(word, port=port) for word in named.split(",")]
    if ports:
        hosts = _with_ports(hosts, ports.split(","))
    if len(hosts) > 1 and not all(host.name for host in hosts):
        raise InvalidURL("has an empty place in its list of hosts.")
    return tuple(hosts) if hosts[0].name else ()


def _with_ports(hosts: list[Host], ports: list[str]) -> list[Host]:
    if len(ports) not in (1, len(hosts)):
        raise InvalidURL("does not have as many ports as hosts. Name one port, or one for each host.")
    ports = ports if len(ports) > 1 else ports * len(hosts)
    return [Host(host.name, _port(port)) for host, port in zip(hosts, ports, strict=True)]


def _host(word: str, *, is_encoded: bool = False, port: int | None = None) -> Host:
    if not is_encoded and (word.startswith(("/", "@")) or word.count(":") > 1):
        return Host(_checked(word), port)
    match = HOST_AND_PORT.fullmatch(word)
    if not match:
        raise InvalidURL(f"has a port that is no number. {ESCAPES}")
    name = match["host"].strip("[]").replace("%25", "%") if word.startswith("[") else _decoded(match["host"])
    return Host(_checked(name), _port(match["port"]) or port)


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]+", text):
        raise InvalidURL("has a port that is no number.")
    if not 0 < (port := int(text[:10])) <= MAX_PORT:
        raise InvalidURL(f"has the port {port}, but ports go from 1 to {MAX_PORT}.")
    return port


def _checked(host: str) -> str:
    """The name as it is, if a resolver can do something with it."""
    if not host or host.startswith(("/", "@")):
        return host
    try:
        usable = ip_address(host) if ":" in host else HOST_NAME.fullmatch(ascii_host(host))
    except ValueError:
        usable = None
    if not usable:
        raise InvalidURL("has a host that is neither a name nor an IP address. An IPv6 address stands in [brackets].")
    return host


def _refuse_placeholders(address: ParsedURL) -> None:
    if NO_PASSWORD.fullmatch(address.password):
        # Not shown: it might be a password after all.
        raise InvalidURL(
            "still holds a placeholder such as [YOUR-PASSWORD] or stars: put your database's password there."
        )
    for part in (address.user, address.database, *(host.name for host in address.hosts)):
        if found := PLACEHOLDER.search(part):
            raise InvalidURL(f"still holds the placeholder {found.group()}: put there what your provider shows.")


def _with_default_host(address: ParsedURL, *, is_bare: bool) -> ParsedURL:
    """For want of a host, the sockets of this machine, if nothing says that more was meant."""
    if "service" in address.options:
        return address
    if not is_bare or not address.database:
        raise InvalidURL(f"names no host. {EXAMPLES}; for a local socket add ?host=/its/folder.")
    return replace(address, hosts=tuple(Host(folder, None) for folder in SOCKET_FOLDERS))
