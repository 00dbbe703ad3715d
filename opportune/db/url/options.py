"""Options of a PostgreSQL URL: TLS, and options that only other clients understand."""

import re
from collections.abc import Iterator
from pkgutil import resolve_name
from typing import NamedTuple, Self

from sqlalchemy.exc import OperationalError

from opportune.db.url.parser import InvalidUrl, ParsedUrl
from opportune.db.url.providers import is_local
from opportune.errors.suggestions import did_you_mean
from opportune.project.layout import PROJECT

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# Values of asyncpg, Node and JDBC, with the equivalent of libpq.
SSL_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on", "no-verify"), "require"),
    **dict.fromkeys(("false", "0", "no", "off"), "disable"),
}
SCHEMAS = ("schema", "currentschema", "search_path")
FILE = "password_file"
FUNCTION = "password_from"
FUNCTION_NAME = re.compile(r"\w+(\.\w+)*:\w+")
SECRET_OPTIONS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")

# Options of Prisma, asyncpg, SQLAlchemy, pgx and others, which libpq refuses.
REPLACED_OPTIONS = {
    "DATABASE_POOL_SIZE": "connection_limit pool_size pool_max_conns",
    "DATABASE_MAX_OVERFLOW": "max_overflow",
    "DATABASE_POOL_TIMEOUT": "pool_timeout",
    "DATABASE_POOLED": """
        pgbouncer default_query_exec_mode prepare_threshold preparethreshold statement_cache_size
        prepared_statement_cache_size prepared_statement_name_func
    """,
    None: """
        pool_mode pool_recycle pool_pre_ping conn_max_age conn_health_checks timeout command_timeout socket_timeout
        max_cacheable_statement_size max_cached_statement_lifetime
        async_fallback charset sslaccept supa uselibpqcompat workaround
    """,
}
"""Options by the setting that replaces them."""
FOREIGN_OPTIONS = {name: setting for setting, names in REPLACED_OPTIONS.items() for name in names.split()}


def translate_options(options: dict[str, str], parsed: ParsedUrl) -> list[str]:
    """Change the options of a URL to those of libpq, including TLS. Return a notice for each changed one."""
    notices = _remove_foreign_options(options, parsed.user)
    _refuse_unknown_options(options)
    notices += _set_tls_mode(options, parsed)
    if len(parsed.hosts) > 1 and "target_session_attrs" not in options and not parsed.hosts[0].is_socket:
        notices.append(
            "The first of several hosts that responds is used. Add target_session_attrs=read-write to find the primary."
        )
    return notices


def _remove_foreign_options(options: dict[str, str], user: str) -> list[str]:
    """Remove options that libpq refuses, and return a notice for each."""
    notices = []
    for name in sorted(FOREIGN_OPTIONS.keys() & options.keys()):
        del options[name]
        setting = FOREIGN_OPTIONS[name]
        advice = f"use the setting {setting}" if setting else "libpq has no such option"
        notices.append(f"The option {name} is ignored: {advice}.")
    for name in SCHEMAS:
        schema = options.pop(name, "public")
        if schema != "public":
            statement = f'ALTER ROLE "{user}" SET search_path = "{schema}"'
            notices.append(f"The option {name} is ignored. To set the default schema, run in SQL: {statement}")
    return notices


def _refuse_unknown_options(options: dict[str, str]) -> None:
    from psycopg import pq  # SQLite does not need psycopg

    allowed = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    for name in sorted(options.keys() - allowed):
        if not re.fullmatch(r"[a-z_]{1,40}", name):
            raise InvalidUrl("has an option that PostgreSQL does not know. Check the text after the question mark.")
        advice = did_you_mean(name, allowed) or " Remove it."
        raise InvalidUrl(f"has the option '{name}', which PostgreSQL does not know.{advice}")


def _set_tls_mode(options: dict[str, str], parsed: ParsedUrl) -> list[str]:
    """Set `sslmode` from the options and the hosts, and return a notice if that is unexpected."""
    notices = []
    ssl = options.pop("ssl", "")
    mode = _parse_ssl_mode(options.get("sslmode") or ssl)
    is_public = not all(is_local(host.name) for host in parsed.hosts)
    if not mode and is_public:
        mode = "verify-full" if options.get("sslrootcert") == "system" else "require"
        notices.append(f"TLS is required (sslmode={mode}), because the host is public.")
    elif mode in SSL_MODES[:3] and is_public:
        notices.append(f"With sslmode={mode} password and data may be sent unencrypted. Use sslmode=require.")
    if mode:
        options["sslmode"] = mode
    return [*notices, *_check_certificates(mode, options)]


def _parse_ssl_mode(value: str) -> str:
    mode = SSL_WORDS.get(value.lower(), value.lower())
    if mode and mode not in SSL_MODES:
        raise InvalidUrl(f"has an unknown sslmode. Use one of {', '.join(SSL_MODES)}.")
    return mode


def _check_certificates(mode: str, options: dict[str, str]) -> Iterator[str]:
    authorities = options.get("sslrootcert")
    if authorities == "system" and mode != "verify-full":
        raise InvalidUrl("has sslrootcert=system, which works only with sslmode=verify-full.")
    if mode in ("verify-ca", "verify-full") and not authorities:
        yield (
            f"sslmode={mode} needs certificates to trust: add sslrootcert=/your/provider's/ca.pem, "
            "or sslrootcert=system for a public authority (with verify-full)."
        )


class PasswordSource(NamedTuple):
    """Options of a URL that say where its password is."""

    file: str = ""
    function: str = ""
    """Function such as `app.database:make_token`. It is called with host, port and user."""

    @classmethod
    def pop_from(cls, options: dict[str, str], password: str) -> Self | None:
        """Remove the options of a password source. None if there are none."""
        source = cls(options.pop(FILE, ""), options.pop(FUNCTION, ""))
        if not (source.file or source.function):
            return None
        if password or (source.file and source.function):
            raise InvalidUrl(f"has several passwords. Use only one of a password, {FILE} and {FUNCTION}.")
        if source.function and not FUNCTION_NAME.fullmatch(source.function):
            raise InvalidUrl(f"has an invalid {FUNCTION}. Name a function: {FUNCTION}=app.database:make_token")
        return source

    def read(self, host: str, port: int | None, user: str) -> str:
        """Return the current password.

        Raises:
            sqlalchemy.exc.OperationalError: It cannot be read. The message contains no secret.
        """
        try:
            if self.file:
                return (PROJECT / self.file).read_text(encoding="utf-8-sig").strip()
            return str(resolve_name(self.function)(host, port, user))
        except Exception as error:  # of a function of the project, whose message may contain secrets
            reason = Exception(f"the password cannot be read ({type(error).__name__})")
            raise OperationalError(None, None, reason) from error
