"""What settings would do wrong, before they do: for `oppman.py check` and for the admin."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

from opportune.config.hosts import current_host
from opportune.config.project import installed_features
from opportune.config.settings import GENERATE_KEY_COMMAND, MIN_SECRET_KEY_LENGTH, Settings, load_settings
from opportune.db.model import utc_now
from opportune.db.url.database_url import DatabaseURL
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.jobs.factory import declared_jobs
from opportune.jobs.schedule import next_run_time
from opportune.mail.addresses import parse_recipient
from opportune.mail.errors import InvalidEmailError
from opportune.mail.transport import ConsoleTransport, transport_for
from opportune.storage import open_storage
from opportune.storage.folder import FolderStorage

SAMPLED_TIMES = 10


@dataclass(frozen=True)
class Finding:
    """One line with its next step. A warning may be meant so; an error never is."""

    text: str
    is_error: bool = True


Check = Callable[[Settings], Iterator[Finding]]


def check_secret_key(settings: Settings) -> Iterator[Finding]:
    if len(settings.secret_key.get_secret_value()) < MIN_SECRET_KEY_LENGTH:
        yield Finding(
            f"SECRET_KEY is shorter than {MIN_SECRET_KEY_LENGTH} characters, which production refuses. "
            f"Make one: {GENERATE_KEY_COMMAND}",
            is_error=False,
        )


def check_llm(settings: Settings) -> Iterator[Finding]:
    if settings.llm_models:
        if settings.llm_model:
            yield Finding("LLM_MODEL is not used where LLM_MODELS is set: take one of them out.", is_error=False)
        return
    if not settings.llm_base_url:
        from opportune.llm import missing_library  # noqa: PLC0415 - its client takes long to import

        if line := missing_library(settings):
            yield Finding(line, is_error=False)
        return
    if not settings.llm_model:
        yield Finding("LLM_BASE_URL is set without LLM_MODEL: name the model to ask there.", is_error=False)
    if not settings.llm_api_key.get_secret_value() and not is_local(urlsplit(settings.llm_base_url).hostname or ""):
        yield Finding("LLM_BASE_URL is set without LLM_API_KEY, which most providers ask for.", is_error=False)


def check_production(settings: Settings) -> Iterator[Finding]:
    """Production refuses to start with a missing or known key, or with DEBUG."""
    if not settings.is_production:
        try:
            load_settings(environment="production")
        except OperatorError as error:
            yield Finding(str(error))


def check_hosts(settings: Settings) -> Iterator[Finding]:
    if not settings.hosts:
        yield Finding("Any Host is answered: set BASE_URL to the public address, or ALLOWED_HOSTS.")
    if settings.base_url.startswith("http://"):
        yield Finding("BASE_URL begins with http://: passwords travel in the open. Use https://.", is_error=False)


def check_proxies(settings: Settings) -> Iterator[Finding]:
    if not settings.trusted_proxies:
        yield Finding(
            "TRUSTED_PROXIES is empty: behind a proxy that ends TLS, links would begin with http:// and every visitor "
            "would have the proxy's address.",
            is_error=False,
        )
    elif settings.trusted_proxies == "*" and not settings.client_address_header:
        yield Finding(
            "TRUSTED_PROXIES is *: the last address of X-Forwarded-For counts as the visitor's. Behind two proxies "
            "it is the first one's, for everybody: add its address (*,10.0.0.0/8), or set CLIENT_ADDRESS_HEADER.",
            is_error=False,
        )


def check_sqlite(settings: Settings) -> Iterator[Finding]:
    if DatabaseURL.parse(settings.database_url.get_secret_value()).kind == "sqlite":
        yield Finding(
            "SQLite is for one machine with a disk that is kept; its workers write one at a time. For more, set "
            "DATABASE_URL to PostgreSQL.",
            is_error=False,
        )


def check_restore(settings: Settings) -> Iterator[Finding]:
    from opportune.ops.backup.marker import interrupted_restore  # noqa: PLC0415 - imports the migrations

    if line := interrupted_restore(settings):
        yield Finding(line)


def check_uploads(settings: Settings) -> Iterator[Finding]:
    with suppress(OperatorError):  # check_addresses tells
        storage = open_storage(settings)
        if storage.data_loss_warning:
            yield Finding(storage.data_loss_warning, is_error=False)
        elif isinstance(storage, FolderStorage):
            yield Finding(
                "STORAGE_URL is a folder: for one machine with a disk that is kept. Free hosts lose it at each deploy; "
                "there set a bucket (s3://…, docs/files.md).",
                is_error=False,
            )


def check_model(settings: Settings) -> Iterator[Finding]:
    from opportune.llm import make_provider  # noqa: PLC0415 - its client takes long to import

    if make_provider(settings) is None:
        yield Finding(
            "There is no model in the settings: unless a superuser has chosen one in the admin (/admin/llm/provider), "
            "whoever asks something gets no answer. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.",
            is_error=False,
        )


def check_admin_email(settings: Settings) -> Iterator[Finding]:
    if settings.admin_email:
        try:
            parse_recipient(settings.admin_email)
        except InvalidEmailError as error:
            yield Finding(f"Nobody would get the link of ADMIN_EMAIL: {error}")


def check_mail(settings: Settings) -> Iterator[Finding]:
    """What check_addresses finds no mistake in, and production would not want."""
    with suppress(OperatorError):
        if isinstance(transport_for(settings), ConsoleTransport):
            yield Finding(
                "MAIL_URL is console: no e-mail is sent. Set smtp://user:password@host:587, or where the host shuts "
                "that port a provider over HTTPS (docs/mail.md).",
                is_error=False,
            )
    if settings.hosts and not settings.base_url:  # without either, check_hosts tells
        yield Finding("BASE_URL is empty: e-mails cannot tell where the site is. Set it.", is_error=False)


def check_jobs(settings: Settings) -> Iterator[Finding]:
    """Who does the jobs, beside what the host lets run."""
    host = current_host()
    if settings.jobs != "request":
        if settings.jobs == "inline" and host and not host.runs_between_requests:
            yield Finding(
                f"{host.title} runs nothing between requests, so jobs and answers would stop in their midst: set "
                "JOBS=request (docs/free-tiers.md). On a plan that keeps the process running leave it as it is.",
                is_error=False,
            )
        return
    if not settings.base_url:
        yield Finding("JOBS is request and BASE_URL is empty: nobody can tell the cron service what to call. Set it.")
    if not settings.jobs_call_minutes:
        yield Finding(
            "JOBS is request and JOBS_CALL_MINUTES is 0: while nobody visits the site no job is done, mail neither. "
            "Have a cron service call what `python3 oppman.py jobs url` shows.",
            is_error=False,
        )
    for name, minutes in _finest_schedules(settings):
        if 0 < minutes < settings.jobs_call_minutes:
            yield Finding(
                f"The job {name} is to begin every {minutes:g} minutes, and the cron service calls every "
                f"{settings.jobs_call_minutes} (JOBS_CALL_MINUTES): it is done less often.",
                is_error=False,
            )


def _finest_schedules(settings: Settings) -> Iterator[tuple[str, float]]:
    """Each job with a schedule, and the least minutes between two of its next times."""
    for job in declared_jobs(installed_features()):
        with suppress(OperatorError):  # the worker tells of one that is none
            if schedule := job.schedule_in(settings):
                times = [next_run_time(schedule, utc_now())]
                while len(times) <= SAMPLED_TIMES:
                    times.append(next_run_time(schedule, times[-1]))
                yield job.name, min((later - earlier).total_seconds() / 60 for earlier, later in pairwise(times))


PRODUCTION_CHECKS: tuple[Check, ...] = (
    check_production,
    check_hosts,
    check_proxies,
    check_sqlite,
    check_uploads,
    check_mail,
    check_model,
    check_jobs,
)
"""What matters where strangers come."""
START_CHECKS: tuple[Check, ...] = (check_mail, check_model, check_jobs)
"""What a site starts without, and its visitors would miss."""
