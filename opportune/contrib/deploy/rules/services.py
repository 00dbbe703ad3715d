"""Rules for external services: storage, backups, mail, cache, language models."""

from collections.abc import Iterator

from opportune.checks import Finding
from opportune.contrib.deploy.rules.database import check_port
from opportune.contrib.deploy.rules.deployment import Deployment
from opportune.db.bus.factory import bus_kind
from opportune.mail.checks import check_admin_email, check_mail
from opportune.mail.factory import transport_for
from opportune.storage.location import Bucket, parse_storage_url


def check_storage(deployment: Deployment) -> Iterator[Finding]:
    location = parse_storage_url(deployment.settings)
    if isinstance(location, Bucket):
        if deployment.is_out_of_reach(location.origin):
            yield Finding(f"STORAGE_URL names {location.host}, which the host cannot reach: use another bucket.")
    elif deployment.uploads and deployment.options.machines > 1:
        yield Finding(
            "STORAGE_URL is a folder, and each machine would have another one: use a bucket, "
            "s3://KEY:SECRET@HOST/BUCKET, or for a few files database: (oppman.py docs files)."
        )
    elif deployment.uploads and not deployment.keeps_data:
        yield Finding(
            f"STORAGE_URL is a folder, which {deployment.host.title} deletes at the next deploy: use a "
            "bucket, s3://KEY:SECRET@HOST/BUCKET, or for a few files database: (oppman.py docs files).",
            is_error=deployment.keeps_data is False and not deployment.options.may_lose_data,
        )
    elif deployment.uploads and deployment.host.name == "kubernetes":
        yield Finding.warning("STORAGE_URL is a folder, which pods do not share: use a bucket, or a shared volume.")


def check_backups(deployment: Deployment) -> Iterator[Finding]:
    is_folder = deployment.values.get("BACKUP_URL", "").strip().startswith("file:")
    if is_folder and deployment.options.machines > 1:
        yield Finding(
            "BACKUP_URL is a folder, so each backup is on the machine that made it: use a bucket, "
            "s3://KEY:SECRET@HOST/BUCKET/FOLDER (oppman.py docs backups)."
        )
    elif is_folder and not deployment.host.keeps_disk:
        yield Finding(
            f"BACKUP_URL is a folder, which {deployment.host.title} deletes with the site: use a bucket, "
            "s3://KEY:SECRET@HOST/BUCKET/FOLDER (oppman.py docs backups)."
        )


def check_mail_settings(deployment: Deployment) -> Iterator[Finding]:
    yield from check_admin_email(deployment.settings)
    transport = transport_for(deployment.settings)
    yield from check_mail(deployment.settings)
    port = getattr(transport, "port", None)
    if isinstance(port, int):
        yield from check_port(deployment, port, "MAIL_URL")
        if deployment.is_out_of_reach(f"//{getattr(transport, 'host', '')}"):
            yield Finding("MAIL_URL names a server on your own machine: use one on the internet (oppman.py docs mail).")


def check_cache(deployment: Deployment) -> Iterator[Finding]:
    bus = bus_kind(deployment.settings)
    if deployment.settings.has_redis and deployment.is_out_of_reach(deployment.settings.cache_url.get_secret_value()):
        yield Finding("CACHE_URL names a Redis on your own machine: use one on the internet, or memory:.")
    elif bus == "memory" and deployment.processes > 1:
        yield Finding.warning(
            "Processes do not tell each other which cached pages to clear, so pages may be old for a while. Set"
            " CACHE_URL to a Redis, or BUS to postgresql (oppman.py docs scaling)."
        )


def check_models(deployment: Deployment) -> Iterator[Finding]:
    settings = deployment.settings
    if settings.llm_base_url and deployment.is_out_of_reach(settings.llm_base_url):
        yield Finding("LLM_BASE_URL is on your own machine, which the host cannot reach: use one on the internet.")
    elif not (settings.llm_base_url or settings.llm_models):
        yield Finding.warning(
            "No language model is configured: set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or add one in the admin "
            "(/admin/llm/provider)."
        )
