"""Check a deployment against all rules of its host."""

import os
from collections.abc import Iterator
from dataclasses import replace

from opportune.checks import Finding
from opportune.config.base_settings import setting_names
from opportune.config.hosts import current_host, is_ephemeral
from opportune.config.settings import Settings
from opportune.contrib.deploy.recipes import RECIPES
from opportune.contrib.deploy.rules import database, server, services
from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions, Rule
from opportune.errors import OperatorError

RULES: tuple[Rule, ...] = (
    database.check_database_url,
    database.check_sqlite,
    database.check_reach,
    database.check_tls,
    database.check_pooler,
    database.check_connections,
    services.check_storage,
    services.check_backups,
    services.check_mail_settings,
    services.check_cache,
    services.check_models,
    server.check_base_url,
    server.check_allowed_hosts,
    server.check_proxies,
    server.check_address_header,
    server.check_listening,
    server.check_jobs,
    server.check_grace,
    server.check_memory,
    server.check_environment,
    server.check_llm_timeout,
)


def check_deployment(deployment: Deployment) -> Iterator[Finding]:
    for rule in RULES:
        try:
            yield from rule(deployment)
        except OperatorError as error:  # an invalid setting
            yield Finding(str(error))


def check_current_host(settings: Settings) -> Iterator[Finding]:
    """Check a running site on a known host, without questions to the operator."""
    if not (host := current_host()):
        return
    values = {name: os.environ[name] for name in setting_names() if os.environ.get(name)}
    deployment = Deployment(RECIPES[host.name], settings, values)
    folders = [deployment.uploads] if deployment.uploads else []
    if deployment.database and deployment.database.kind == "sqlite":
        folders.append(deployment.database.path.parent)
    has_volume = bool(folders) and not any(map(is_ephemeral, folders))
    yield from check_deployment(replace(deployment, options=DeploymentOptions(has_volume=has_volume)))
