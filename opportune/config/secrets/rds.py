"""Database URLs from the keys that Amazon RDS writes into a secret."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from opportune.config.host_names import LOCAL_HOSTS
from opportune.errors import SettingsError

ENGINES = ("postgres", "postgresql", "aurora-postgresql")
REQUIRED_KEYS = {"host", "username", "password"}
RDS_KEYS = REQUIRED_KEYS | {"engine", "port", "dbname"}
# RDS has no key for a read replica. Projects use names such as reader_host, hostRo and READ-HOST.
READER_KEY = re.compile(r"(read(er|only)?|ro|replica)host|host(reader|ro)|readerendpoint")


def with_database_urls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a secret with DATABASE_URL and DATABASE_READER_URL in place of RDS's keys.

    Raises:
        SettingsError: The keys are incomplete, or the engine is not PostgreSQL.
    """
    if "engine" not in content and not content.keys() >= REQUIRED_KEYS:
        return dict(content)
    if content.get("engine", ENGINES[0]) not in ENGINES:
        raise SettingsError("SECRETS_FROM: the engine of the database is not PostgreSQL. No other engine of RDS works.")
    if missing := sorted(REQUIRED_KEYS - content.keys()):
        raise SettingsError(f"SECRETS_FROM: the database lacks {' and '.join(missing)}.")
    urls = {"DATABASE_URL": _url(content, content["host"])}
    for key, host in content.items():
        if READER_KEY.fullmatch(key.lower().replace("_", "").replace("-", "")):
            urls["DATABASE_READER_URL"] = _url(content, host)
    settings = {key: value for key, value in content.items() if key not in RDS_KEYS}
    explicit = {key.upper() for key in settings}
    return settings | {name: url for name, url in urls.items() if name not in explicit}


def _url(content: Mapping[str, Any], host: object) -> str:
    parts = {"port": 5432, "dbname": "postgres", **content}
    keys = ("username", "password", "port", "dbname")
    user, password, port, name = (quote(str(parts[key]), safe="") for key in keys)
    # Require TLS, except on this machine or if the secret has another sslmode.
    mode = content.get("sslmode") or ("" if host in LOCAL_HOSTS else "require")
    query = f"?sslmode={mode}" if mode else ""
    url_host = f"[{host}]" if ":" in str(host) else host  # an IPv6 address has brackets
    return f"postgresql://{user}:{password}@{url_host}:{port}/{name}{query}"
