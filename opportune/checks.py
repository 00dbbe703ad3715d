"""Checks of the settings, for `oppman.py check` and the admin."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from opportune.config.settings import Settings, load_settings
from opportune.config.validated_settings import GENERATE_KEY_COMMAND, MIN_SECRET_KEY_LENGTH
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.feature import Check, Feature, Finding
from opportune.jobs.checks import check_schedules
from opportune.jobs.service import declared_jobs
from opportune.storage import open_storage
from opportune.storage.folder import FolderStorage

__all__ = ["Check", "Finding", "check_production", "check_secret_key", "production_checks", "start_checks"]


def check_secret_key(settings: Settings) -> Iterator[Finding]:
    if len(settings.secret_key.get_secret_value()) < MIN_SECRET_KEY_LENGTH:
        yield Finding.warning(
            f"SECRET_KEY is shorter than {MIN_SECRET_KEY_LENGTH} characters, which production refuses. "
            f"Make one: {GENERATE_KEY_COMMAND}"
        )


def check_production(settings: Settings) -> Iterator[Finding]:
    """Report settings with which production refuses to start, such as a missing key or DEBUG."""
    if not settings.is_production:
        try:
            load_settings(environment="production")
        except OperatorError as error:
            yield Finding(str(error))


def check_hosts(settings: Settings) -> Iterator[Finding]:
    if not settings.hosts:
        yield Finding("The site accepts any Host header. Set BASE_URL to the public address, or set ALLOWED_HOSTS.")
    if settings.base_url.startswith("http://"):
        yield Finding.warning("BASE_URL begins with http://, so passwords are sent unencrypted. Use https://.")


def check_proxies(settings: Settings) -> Iterator[Finding]:
    if not settings.trusted_proxies:
        yield Finding.warning(
            "TRUSTED_PROXIES is empty. Behind a proxy that terminates TLS, links would begin with http:// and every "
            "visitor would have the proxy's address."
        )
    elif settings.trusted_proxies == "*" and not settings.client_address_header:
        yield Finding.warning(
            "TRUSTED_PROXIES is *, so the last address of X-Forwarded-For counts as the visitor's. Behind two proxies "
            "that is the first proxy's address: add it (*,10.0.0.0/8), or set CLIENT_ADDRESS_HEADER."
        )


def check_sqlite(settings: Settings) -> Iterator[Finding]:
    if DatabaseUrl.parse(settings.database_url.get_secret_value()).kind == "sqlite":
        yield Finding.warning(
            "SQLite needs one machine with a persistent disk, and allows one writer at a time. For more, set "
            "DATABASE_URL to PostgreSQL."
        )


def check_uploads(settings: Settings) -> Iterator[Finding]:
    with suppress(OperatorError):  # `check_urls` reports it
        storage = open_storage(settings)
        if storage.data_loss_warning:
            yield Finding.warning(str(storage.data_loss_warning))
        elif isinstance(storage, FolderStorage):
            yield Finding.warning(
                "STORAGE_URL is a folder, which needs one machine with a persistent disk. Free hosts delete it at each "
                "deploy; use a bucket there (s3://…, oppman.py docs files)."
            )


def start_checks(features: Sequence[Feature]) -> list[Check]:
    """Return the checks that a production site runs at its start and logs as warnings."""
    registered = [check for feature in features for check in feature.monitoring.production_checks]
    return [*registered, partial(check_schedules, jobs=declared_jobs(features))]


def production_checks(features: Sequence[Feature]) -> list[Check]:
    return [check_production, check_hosts, check_proxies, check_sqlite, check_uploads, *start_checks(features)]
