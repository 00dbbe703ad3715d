"""Parses STORAGE_URL, and URLs in the same form."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT

EXAMPLE = "Write file:./data/uploads, s3://key:secret@host/bucket?region=NAME or database: (oppman.py docs files)."
OPTIONS = ("region", "tls")
HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
MEGABYTE_BYTES = 1_000_000
MAX_MEGABYTES = 1_000_000
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket. Without a key, the key comes from the environment or the role of the machine."""

    host: str
    """Host name, with its port unless that is the default."""
    name: str
    prefix: str = ""
    region: str = "us-east-1"
    tls: bool = True
    key: str = ""
    secret: str = field(default="", repr=False)

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def label(self) -> str:
        return "/".join(filter(None, (f"s3://{self.host}", self.name, self.prefix)))


@dataclass(frozen=True)
class DatabaseFiles:
    """The database of the site, with limits for files."""

    max_file_megabytes: int = 10
    max_total_megabytes: int = 200
    label = "the database"


StorageLocation = Path | Bucket | DatabaseFiles


def parse_storage_url(settings: Settings) -> StorageLocation:
    """Parse STORAGE_URL into an absolute path, a bucket or the database.

    Raises:
        OperatorError: The setting is invalid. The message contains no secret.
    """
    try:
        return parse_location(settings.storage_url.get_secret_value(), "STORAGE_URL", EXAMPLE)
    except ValueError as error:
        raise OperatorError(str(error)) from None


def parse_location(text: str, setting: str, example: str) -> StorageLocation:
    """Parse the value of a setting.

    Raises:
        ValueError: It is invalid. The message has the name of the setting and an example.
    """
    scheme, _, location = text.strip().partition(":")
    try:
        return _parse(scheme.lower(), location)
    except ValueError as error:
        raise ValueError(f"{setting} {error}. {example}") from None


def _parse(scheme: str, location: str) -> StorageLocation:
    if scheme == "file":
        return _parse_folder(location)
    if scheme == "s3" and location.startswith("//"):
        return _parse_bucket(location.removeprefix("//"))
    if scheme == "database":
        return _parse_database(location)
    raise ValueError("names neither a folder nor a bucket")


def _parse_folder(text: str) -> Path:
    if text.startswith("//"):
        host, _, path = text.removeprefix("//").partition("/")
        if host not in ("", "localhost"):
            raise ValueError(f"names the folder of another machine ({host})")
        text = f"/{path}"
    text = unquote(text)
    if not text or "\0" in text:
        raise ValueError("names no folder")
    folder = (PROJECT / text).resolve()
    if PROJECT.is_relative_to(folder) or folder.is_relative_to(PROJECT / "static"):
        raise ValueError(f"names {folder}, which contains files of the project")
    return folder


def _parse_bucket(text: str) -> Bucket:
    # Split at the last @, since secrets may contain an unescaped @.
    credentials, _, location = text.rpartition("@")
    key, _, secret = credentials.partition(":")
    if bool(key) != bool(secret):
        raise ValueError("has a key without a secret, or a secret without a key")
    url = _split_url(location)
    name, _, prefix = url.path.strip("/").partition("/")
    options = _parse_options(url.query, OPTIONS)
    if (tls := options.get("tls", "true")) not in BOOLEANS:
        raise ValueError("needs tls=true or tls=false")
    region = options.get("region") or _region_of(url.netloc)
    return Bucket(url.netloc, name, prefix, region, BOOLEANS[tls], unquote(key), unquote(secret))


def _parse_database(text: str) -> DatabaseFiles:
    name, _, query = text.partition("?")
    if name.strip("/"):
        raise ValueError("names another database: files go to that of DATABASE_URL")
    options = _parse_options(query, [field.name for field in fields(DatabaseFiles)])
    for name, value in options.items():
        if not (value.isascii() and value.isdigit() and 0 < int(value) <= MAX_MEGABYTES):
            raise ValueError(f"needs a number of megabytes in {name}")
    return DatabaseFiles(**{name: int(value) for name, value in options.items()})


def _parse_options(query: str, allowed: Collection[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(options.keys() - set(allowed)):
        raise ValueError(f"has an unknown option: {unknown[0]!a}")
    return options


def _split_url(location: str) -> SplitResult:
    """Return the parts of a URL with a host, and with a bucket in its path."""
    try:
        url = urlsplit(f"s3://{location}")
        has_valid_port = url.port is None or url.port > 0
    except ValueError:
        raise ValueError("has an invalid host or port") from None
    if not (HOST.fullmatch(url.netloc) and url.path.strip("/") and has_valid_port):
        raise ValueError("lacks the host or the bucket")
    return url


def _region_of(host: str) -> str:
    """Return the region in an Amazon host, or the default. Most other services accept any region."""
    match host.split("."):
        case ["s3", region, "amazonaws", "com", *_]:
            return region
    return "us-east-1"
