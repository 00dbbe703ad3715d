"""The options of an address: what other clients call differently, what they alone know, and TLS."""

import re
from collections.abc import Iterator

from opportune.db.url.parser import InvalidURL, ParsedURL
from opportune.db.url.providers import is_local
from opportune.runtime.suggestions import did_you_mean

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# asyncpg's, node's and JDBC's words for them
SSL_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on", "no-verify"), "require"),
    **dict.fromkeys(("false", "0", "no", "off"), "disable"),
}
SCHEMAS = ("schema", "currentschema", "search_path")
SECRET_OPTIONS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")

# Options of Prisma, asyncpg, SQLAlchemy, pgx and others, which libpq refuses, and our setting for the same.
FOREIGN_OPTIONS = {
    **dict.fromkeys(("connection_limit", "pool_size", "pool_max_conns"), "DATABASE_POOL_SIZE"),
    "max_overflow": "DATABASE_MAX_OVERFLOW",
    "pool_timeout": "DATABASE_POOL_TIMEOUT",
    **dict.fromkeys(
        (
            "pgbouncer",
            "prepare_threshold",
            "preparethreshold",
            "statement_cache_size",
            "prepared_statement_cache_size",
            "prepared_statement_name_func",
            "default_query_exec_mode",
        ),
        "DATABASE_POOLED",
    ),
    **dict.fromkeys(
        (
            "async_fallback",
            "charset",
            "command_timeout",
            "conn_max_age",
            "conn_health_checks",
            "max_cacheable_statement_size",
            "max_cached_statement_lifetime",
            "pool_mode",
            "pool_recycle",
            "pool_pre_ping",
            "socket_timeout",
            "sslaccept",
            "supa",
            "timeout",
            "uselibpqcompat",
            "workaround",
        ),
        "",
    ),
}


def translate(address: ParsedURL) -> tuple[dict[str, str], list[str]]:
    """The options for libpq, TLS among them, and a line on each that is not passed on as it was.

    Raises:
        Unusable: an option means nothing to libpq, or two of them contradict each other.
    """
    options = dict(address.options)
    notices = list(_drop_foreign(options, address.user))
    _refuse_unknown(options)
    notices += _settle_tls(options, address)
    if len(address.hosts) > 1 and "target_session_attrs" not in options and not address.hosts[0].is_socket:
        notices.append(
            "Of several hosts the first that answers is used: target_session_attrs=read-write finds the writer."
        )
    return options, notices


def names_a_pooler(address: ParsedURL) -> bool:
    """Whether the options say so, as Prisma's do."""
    return address.options.get("pgbouncer", "").lower() == "true"


def _drop_foreign(options: dict[str, str], user: str) -> Iterator[str]:
    for name in sorted(FOREIGN_OPTIONS.keys() & options.keys()):
        del options[name]
        setting = FOREIGN_OPTIONS[name]
        instead = f"the setting for it is {setting}" if setting else "PostgreSQL's library has no such option"
        yield f"The option {name} is left out: {instead}."
    for name in SCHEMAS:
        if (schema := options.pop(name, "public")) != "public":
            yield (
                f"The option {name} is left out. To make a schema the usual one, in SQL: "
                f'ALTER ROLE "{user}" SET search_path = "{schema}"'
            )


def _refuse_unknown(options: dict[str, str]) -> None:
    from psycopg import pq  # noqa: PLC0415 - sites on SQLite can do without

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    for name in options.keys() - known:
        if not re.fullmatch(r"[a-z_]{1,40}", name):
            raise InvalidURL("has an option that PostgreSQL does not know. Look at what follows the question mark.")
        advice = did_you_mean(name, known) or " Remove it."
        raise InvalidURL(f"has the option '{name}', which PostgreSQL does not know.{advice}")


def _settle_tls(options: dict[str, str], address: ParsedURL) -> Iterator[str]:
    """Put one `sslmode` where there is to be one."""
    ssl = options.pop("ssl", "")
    mode = _ssl_mode(options.get("sslmode") or ssl)
    public = not all(is_local(host.name) for host in address.hosts)
    if not mode and public:
        mode = "verify-full" if options.get("sslrootcert") == "system" else "require"
        yield f"TLS is asked for (sslmode={mode}), since the host is a public one."
    elif mode in SSL_MODES[:3] and public:
        yield f"With sslmode={mode} password and data may travel in the open: sslmode=require keeps them private."
    if mode:
        options["sslmode"] = mode
    yield from _look_at_certificates(mode, options)


def _ssl_mode(word: str) -> str:
    mode = SSL_WORDS.get(word.lower(), word.lower())
    if mode and mode not in SSL_MODES:
        raise InvalidURL(f"has an unknown sslmode. Use one of {', '.join(SSL_MODES)}.")
    return mode


def _look_at_certificates(mode: str, options: dict[str, str]) -> Iterator[str]:
    authorities = options.get("sslrootcert")
    if authorities == "system" and mode != "verify-full":
        raise InvalidURL("has sslrootcert=system, which goes with sslmode=verify-full only.")
    if mode in ("verify-ca", "verify-full") and not authorities:
        yield (
            f"sslmode={mode} needs certificates to trust: add sslrootcert=/your/provider's/ca.pem, "
            "or sslrootcert=system for a public authority (with verify-full)."
        )
