"""Parser for PostgreSQL URLs that works like libpq, and also accepts passwords that are not percent-encoded."""

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote

from opportune.config.host_names import ascii_host

MAX_PORT = 65535
EXAMPLES = "Use sqlite:///./data/app.db or postgresql://user:password@host/name"
ESCAPES = "In a user or password write %40 for @, %2F for /, %3F for ?, %3A for : and %25 for %."

# Default socket folders of libpq: on Debian, and elsewhere.
SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")  # noqa: S108 - not written to

HOST = r"(?:\[[^\]/?@]*\]|[\w.%-]*)(?::[0-9]*)?"
HOSTS = rf"(?P<hosts>{HOST}(?:,{HOST})*)"
LOCATION = re.compile(rf"{HOSTS}(?:/(?P<database>[^?@\s]*))?(?:\?(?P<query>(?:[^\s=&]+=[^\s&]*|&)*))?")
LOCATION_WITH_DATABASE = re.compile(rf"{HOSTS}/(?P<database>[^?@\s]+)(?:\?(?P<query>\S*))?")
HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
HOST_NAME = re.compile(r"(?=.{1,253}$)(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?")
PLACEHOLDER = re.compile(r"[\[<{][A-Za-z][\w .-]*[\]>}]")
# Placeholders for a password: [YOUR-PASSWORD], <password>, {{pw}}, your_password, ********
PASSWORD_PLACEHOLDER = re.compile(
    r"[\[<{$(]+[\w .:-]*(?:pass|pwd|pw|secret)[\w .:-]*[\]>})]+|your[-_ ]?(?:\w+[-_ ])?(?:password|passwd|pwd)|[*•]+",
    re.IGNORECASE,
)


class InvalidUrl(Exception):
    """Error whose message follows the name of the setting. It contains no password."""


class Host(NamedTuple):
    """Host name, IP address or folder of a Unix socket."""

    name: str
    port: int | None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name and not self.is_socket else self.name
        return f"{name}:{self.port}" if self.port else name

    @property
    def is_socket(self) -> bool:
        return self.name.startswith(("/", "@"))


@dataclass(frozen=True)
class ParsedUrl:
    """Decoded parts of a URL. `options` has the rest of the query, with names in lower case."""

    user: str
    password: str = field(repr=False)
    hosts: tuple[Host, ...]
    database: str
    options: dict[str, str] = field(repr=False)  # some of them are secrets
    is_unescaped: bool
    """Whether user or password contain reserved characters that are not percent-encoded."""


def parse_postgresql_url(text: str) -> ParsedUrl:
    """Parse the text after `postgresql://`."""
    location = _find_location(text)
    credentials = text[: location.start()].removesuffix("@")
    user, _, password = credentials.partition(":")
    options = _parse_options(location["query"] or "")
    parsed = ParsedUrl(
        user=options.pop("user", "") or decode(user),
        password=options.pop("password", "") or decode(password),
        hosts=_take_hosts(location["hosts"], options),
        database=options.pop("dbname", "") or decode(location["database"] or ""),
        options=options,
        is_unescaped=not set("@/?#").isdisjoint(credentials),
    )
    _refuse_placeholders(parsed)
    return parsed if parsed.hosts[0].name else _with_default_host(parsed, is_bare=text.startswith("/"))


def _find_location(text: str) -> re.Match[str]:
    """Return the match of the text after the credentials. Accepts a raw password if the result is unambiguous."""
    at_index = re.split("[/?]", text)[0].rfind("@")
    location = LOCATION.fullmatch(text, at_index + 1)
    if location and at_index >= 0:
        return location
    matches = [LOCATION_WITH_DATABASE.fullmatch(text, at.end()) for at in re.finditer("@", text)]
    candidates = [match for match in matches if match]
    if len(candidates) == 1:
        return candidates[0]
    if location and not candidates:
        return location
    raise InvalidUrl(_syntax_error_message(text))


def _syntax_error_message(text: str) -> str:
    """Return the error message for an invalid text. It quotes nothing, because any part may belong to the password."""
    if PLACEHOLDER.search(text):
        return "contains a placeholder in brackets. Replace it by the value that your provider shows."
    if text.count("@") > 1 or re.search(r"[/?#].*@", text):
        return f"is ambiguous. {ESCAPES}"
    authority = re.split("[/?]", text)[0].rpartition("@")[2]
    if re.search(r":[^:\],]*[^0-9:\],]", authority.rpartition("]")[2]):
        return f"has a port that is not a number. {ESCAPES}"
    if re.search(r"\s", text):
        return f"contains a space. Write %20 for it. {EXAMPLES}."
    return f"is not a database address. {EXAMPLES}."


def _parse_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        encoded_name, _, encoded_value = pair.partition("=")
        name = decode(encoded_name).lower()
        if name not in ("user", "password"):  # where a plus is rarely a space
            encoded_value = encoded_value.replace("+", " ")  # as SQLAlchemy encodes a space
        value = decode(encoded_value)
        if name in ("host", "port") and name in options:
            value = f"{options[name]},{value}"  # SQLAlchemy repeats the option for several hosts
        if value:
            options[name] = value
    return options


def decode(text: str) -> str:
    """Return a part of an address with its characters instead of their codes, such as `%C3%BC`."""
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidUrl(f"has a character written with % that is not in UTF-8. {ESCAPES}") from None
    if "\0" in decoded:
        raise InvalidUrl("contains a NUL character (%00). Remove it.")
    return decoded


def _take_hosts(authority: str, options: dict[str, str]) -> tuple[Host, ...]:
    """Take the hosts from the options, which override those of the authority, as in libpq. The first may be unnamed."""
    hosts = [_parse_host(text) for text in authority.split(",")]
    is_unnamed = not any(host.name for host in hosts)
    names = options.pop("host", "")
    if is_unnamed and not names:
        names = options.pop("hostaddr", "")
    if names:
        port = hosts[0].port if is_unnamed else None
        hosts = [_parse_host_option(text, port) for text in names.split(",")]
    if ports := options.pop("port", ""):
        hosts = _with_ports(hosts, ports.split(","))
    if len(hosts) > 1 and not all(host.name for host in hosts):
        raise InvalidUrl("has an empty entry in its list of hosts.")
    return tuple(hosts)


def _with_ports(hosts: list[Host], ports: list[str]) -> list[Host]:
    if len(ports) not in (1, len(hosts)):
        raise InvalidUrl("has a different number of ports than hosts. Give one port, or one per host.")
    ports = ports if len(ports) > 1 else ports * len(hosts)
    return [Host(host.name, _parse_port(port)) for host, port in zip(hosts, ports, strict=True)]


def _parse_host_option(text: str, default_port: int | None) -> Host:
    """Parse a host of `?host=`, which can also be a folder of a socket or an IPv6 address without brackets."""
    if text.startswith(("/", "@")) or text.count(":") > 1:
        return Host(_validate_host(text), default_port)
    host = _parse_host(text)
    return Host(host.name, host.port or default_port)


def _parse_host(text: str) -> Host:
    match = HOST_AND_PORT.fullmatch(text)
    if not match:
        raise InvalidUrl(f"has a port that is not a number. {ESCAPES}")
    name = match["host"].strip("[]").replace("%25", "%") if text.startswith("[") else decode(match["host"])
    return Host(_validate_host(name), _parse_port(match["port"]))


def _parse_port(text: str | None) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]+", text):
        raise InvalidUrl("has a port that is not a number.")
    if not 0 < (port := int(text[:10])) <= MAX_PORT:
        raise InvalidUrl(f"has the port {port}, but ports go from 1 to {MAX_PORT}.")
    return port


def _validate_host(host: str) -> str:
    """Return the host, or raise InvalidUrl if it is neither a host name nor an IP address."""
    if not host or host.startswith(("/", "@")):
        return host
    try:
        is_valid = ip_address(host) if ":" in host else HOST_NAME.fullmatch(ascii_host(host))
    except ValueError:
        is_valid = None
    if not is_valid:
        raise InvalidUrl("has a host that is neither a name nor an IP address. Write an IPv6 address in [brackets].")
    return host


def _refuse_placeholders(parsed: ParsedUrl) -> None:
    if PASSWORD_PLACEHOLDER.fullmatch(parsed.password):
        # Not quoted: it could be the real password.
        raise InvalidUrl(
            "contains a placeholder such as [YOUR-PASSWORD] or stars. Replace it by your database's password."
        )
    for part in (parsed.user, parsed.database, *(host.name for host in parsed.hosts)):
        if placeholder := PLACEHOLDER.search(part):
            raise InvalidUrl(f"contains the placeholder {placeholder.group()}. Replace it by your provider's value.")


def _with_default_host(parsed: ParsedUrl, *, is_bare: bool) -> ParsedUrl:
    """Use the local sockets if the URL has no host and is not incomplete."""
    port = parsed.hosts[0].port
    if "service" in parsed.options:
        return replace(parsed, hosts=(), options=parsed.options | ({"port": str(port)} if port else {}))
    if not is_bare or not parsed.database:
        raise InvalidUrl(f"has no host. {EXAMPLES}; for a local socket add ?host=/its/folder.")
    return replace(parsed, hosts=tuple(Host(folder, port) for folder in SOCKET_FOLDERS))
