"""What the site asks of others: uploads, mail, cache, language models."""

from collections.abc import Iterator
from pathlib import Path

from opportune.checks import Finding
from opportune.errors import OperatorError
from opportune.mail.checks import check_admin_email, check_mail
from opportune.mail.factory import transport_for
from opportune.ops.deploy.rules.database import blocked
from opportune.ops.deploy.rules.deployment import Deployment, warning
from opportune.storage.location import Bucket, parse_backup_url, parse_storage_url


def check_storage(deployment: Deployment) -> Iterator[Finding]:
    host = deployment.host
    try:
        location = parse_storage_url(deployment.settings)
    except OperatorError as error:
        yield Finding(str(error))
        return
    if isinstance(location, Bucket):
        if deployment.is_out_of_reach(location.origin):
            yield Finding(
                f"STORAGE_URL names {location.host}, which only your own machine reaches: take another bucket."
            )
    elif deployment.uploads and not deployment.keeps_data:
        yield Finding(
            f"STORAGE_URL is a folder, and {host.title} keeps no files: uploads would be lost at the next deploy. "
            "Set a bucket, s3://KEY:SECRET@HOST/BUCKET, or for a few database: (docs/files.md).",
            is_error=deployment.keeps_data is False and not deployment.answers.may_lose_data,
        )
    elif deployment.uploads and deployment.host.name == "kubernetes":
        yield warning("STORAGE_URL is a folder, which each pod has for itself: take a bucket, or a volume for all.")


def check_backups(deployment: Deployment) -> Iterator[Finding]:
    if not (text := deployment.settings.backup_url.get_secret_value().strip()):
        return
    try:
        is_folder = isinstance(parse_backup_url(text), Path)
    except OperatorError as error:
        yield Finding(str(error))
        return
    if is_folder and not deployment.host.keeps_disk:
        yield Finding(
            f"BACKUP_URL is a folder, and {deployment.host.title} keeps no files: backups would go with the site. "
            "Set a bucket, s3://KEY:SECRET@HOST/BUCKET/FOLDER (docs/backups.md)."
        )


def check_mail_settings(deployment: Deployment) -> Iterator[Finding]:
    yield from check_admin_email(deployment.settings)
    try:
        transport = transport_for(deployment.settings)
    except OperatorError as error:
        yield Finding(str(error))
        return
    yield from check_mail(deployment.settings)
    port = getattr(transport, "port", None)
    if isinstance(port, int):
        yield from blocked(deployment, port, "MAIL_URL")
        if deployment.is_out_of_reach(f"//{getattr(transport, 'host', '')}"):
            yield Finding("MAIL_URL names a mail server on your own machine: take one on the internet (docs/mail.md).")


def check_cache(deployment: Deployment) -> Iterator[Finding]:
    url = deployment.settings.cache_url.get_secret_value()
    if url.startswith("redis") and deployment.is_out_of_reach(url):
        yield Finding("CACHE_URL names a Redis on your own machine: take one on the internet, or memory:.")
    elif url.startswith("memory") and max(deployment.recipe.processes, deployment.answers.workers) > 1:
        yield warning("CACHE_URL is memory:, which each process has for itself: their pages may differ for a while.")


def check_models(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    if settings.llm_base_url and deployment.is_out_of_reach(settings.llm_base_url):
        yield Finding("LLM_BASE_URL is on your own machine, which the host cannot reach: take one on the internet.")
    elif not (settings.llm_base_url or settings.llm_models):
        yield warning(
            "There is no model in the settings: set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL for the chat, or "
            "choose one in the admin afterwards (/admin/llm/provider)."
        )
