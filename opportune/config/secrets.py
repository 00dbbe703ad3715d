"""Settings from `SECRETS_FROM`: AWS Secrets Manager, Google Secret Manager or Azure Key Vault.

A secret of AWS is a JSON object with settings. In the other stores each secret is a setting. pydantic-settings reads
them all, but its clients retry for minutes, and it takes unreadable secrets of Google for missing ones.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from itertools import chain
from threading import Thread
from typing import Any
from urllib.parse import quote

import pydantic_settings
from pydantic_settings import EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings.sources.providers.gcp import GoogleSecretManagerMapping

from opportune.config.host_names import LOCAL_HOSTS
from opportune.config.pasted_values import clean_quoted_values
from opportune.errors import SettingsError
from opportune.project.current import OPPMAN

TIMEOUT_SECONDS = 20
"""Time limit for all requests to a store."""
ADVICE = {
    "aws": (
        "Check its name, the region (AWS_DEFAULT_REGION), the credentials, and their permissions "
        "secretsmanager:GetSecretValue and, for a customer key, kms:Decrypt."
    ),
    "gcp": (
        "Check the project, the credentials (a service account, or GOOGLE_APPLICATION_CREDENTIALS), and their roles "
        "secretmanager.viewer and secretmanager.secretAccessor."
    ),
    "azure": (
        "Check the vault's name and firewall, the credentials (a managed identity, or AZURE_CLIENT_ID and the like), "
        "and their role Key Vault Secrets User."
    ),
}
ENGINES = ("postgres", "postgresql", "aurora-postgresql")
REQUIRED_KEYS = {"host", "username", "password"}
RDS_KEYS = REQUIRED_KEYS | {"engine", "port", "dbname"}
# RDS has no key for a read replica. Projects use names such as reader_host, hostRo and READ-HOST.
READER_KEY = re.compile(r"(read(er|only)?|ro|replica)host|host(reader|ro)|readerendpoint")


def secrets_source(
    settings_class: type[pydantic_settings.BaseSettings],
    secrets_from: str,
    all_setting_names: Callable[[], Collection[str]] = tuple,
) -> PydanticBaseSettingsSource:
    """Return a source of the settings in `aws:NAME`, `gcp:PROJECT` or `azure:VAULT`, or in several names with commas.

    An AWS secret without any of the site's settings is refused. Messages contain no secret.
    """
    fields = settings_class.model_fields
    values = clean_quoted_values(read_settings(secrets_from, fields), fields)
    if secrets_from.startswith("aws:"):
        if not values:
            _refuse_without_settings(secrets_from, all_setting_names())
        return InitSettingsSource(settings_class, values)
    # Google and Azure store strings, like environment variables, so lists are parsed as JSON.
    source = EnvSettingsSource(settings_class)
    source.env_vars = values
    return source


def _refuse_without_settings(secrets_from: str, names: Iterable[str]) -> None:
    if not read_settings(secrets_from, {name.lower() for name in names}):
        raise SettingsError(
            f"SECRETS_FROM: {secrets_from} has no setting. Use names of settings as keys, such as DATABASE_URL, "
            "or the keys of RDS with host, username and password."
        )


def read_settings(secrets_from: str, settings: Collection[str]) -> dict[str, Any]:
    """Return the values of those settings that the secrets have. The last secret wins."""
    scheme, _, text = secrets_from.partition(":")
    names = [name.strip() for name in text.split(",")]
    if scheme not in ADVICE or not all(names):
        raise SettingsError("SECRETS_FROM must be empty, aws:SECRET, gcp:PROJECT or azure:VAULT.")
    stores = {name: _fetch(scheme, name, settings) for name in names}
    if scheme == "aws":
        content = dict(chain.from_iterable(store.items() for store in stores.values()))
        return _by_setting(text, with_database_urls(content), settings)
    values = (_by_setting(name, secrets, settings).items() for name, secrets in stores.items())
    return dict(chain.from_iterable(values))


@cache
def open_secrets(scheme: str, name: str) -> Mapping[str, Any]:
    """Return the secrets of a store by name. They are fetched once for the site and all its features."""
    if scheme == "aws":
        # An ARN names its region. Lambda and ECS set AWS_REGION, which boto3 does not read.
        region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
        region = name.split(":")[3] if name.count(":") > 3 else region
        aws = pydantic_settings.AWSSecretsManagerSettingsSource(pydantic_settings.BaseSettings, name, region)
        return {key: value for key, value in aws.env_vars.items() if value is not None}
    if scheme == "gcp":
        from google.cloud.secretmanager import SecretManagerServiceClient

        # gRPC writes its errors to stderr and does not survive a fork.
        return GoogleSecretManagerMapping(SecretManagerServiceClient(transport="rest"), name, case_sensitive=True)
    from azure.identity import DefaultAzureCredential

    url = name if "://" in name else f"https://{name}.vault.azure.net"
    azure = pydantic_settings.AzureKeyVaultSettingsSource(
        pydantic_settings.BaseSettings, url, DefaultAzureCredential(), case_sensitive=True
    )
    return azure.env_vars


def _fetch(scheme: str, name: str, settings: Collection[str]) -> dict[str, Any]:
    """Return the keys of an AWS secret, or those secrets of a store that are settings."""

    def fetch() -> dict[str, Any]:
        secrets = open_secrets(scheme, name)
        return {key: secrets.get(key) for key in secrets if scheme == "aws" or _setting(key) in settings}

    values = _run_with_timeout(fetch)
    if isinstance(values, BaseException):
        raise SettingsError(f"SECRETS_FROM: {_explain(scheme, name, values)}")
    if unreadable := [key for key, value in values.items() if value is None]:
        raise SettingsError(
            f"SECRETS_FROM: {name}, secret {unreadable[0]} cannot be read. Its newest version must be enabled text. "
            f"{ADVICE[scheme]}"
        )
    return values


def _run_with_timeout(function: Callable[[], dict[str, Any]]) -> dict[str, Any] | BaseException:
    """Return the result or the error of a function, without log messages. The thread of a silent store is left."""
    results: list[dict[str, Any] | BaseException] = [TimeoutError()]

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - the clients of stores raise errors of many classes
            results.append(error)

    thread = Thread(target=run, daemon=True)  # a pool needs semaphores, which AWS Lambda lacks
    logging.disable(logging.CRITICAL)  # the SettingsError reports the same, and debug messages contain secrets
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    logging.disable(logging.NOTSET)
    return results[-1]


def _explain(scheme: str, name: str, error: BaseException) -> str:
    """Return the problem without the provider's details, such as account numbers and file names."""
    if isinstance(error, ImportError):
        return f"the packages of {scheme} are missing. Install them with: {OPPMAN} install {scheme}"
    if scheme == "aws" and isinstance(error, (json.JSONDecodeError, AttributeError, KeyError)):
        return f"{name} is not a JSON object. Store names of settings with their values, as text."
    if isinstance(error, TimeoutError):
        reason = f"no response within {TIMEOUT_SECONDS} seconds"
    else:
        reason = " ".join(dict.fromkeys((type(error).__name__, _code_of(error)))).strip()
    return f"{name} cannot be read ({reason}). {ADVICE[scheme]}"


def _code_of(error: BaseException) -> str:
    """Return the code of an error of a service, such as `AccessDenied` or 403; empty if it has none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of boto3
        return str(response["Error"]["Code"])
    return str(getattr(error, "status_code", None) or "")


def _by_setting(name: str, secrets: Mapping[str, Any], settings: Collection[str]) -> dict[str, Any]:
    """Return those secrets of a store that are settings, by the name of the setting."""
    keys: dict[str, str] = {}
    for key in secrets:
        setting = _setting(key)
        if setting not in settings:
            continue
        if setting in keys:
            raise SettingsError(
                f"SECRETS_FROM: {name} has two secrets for one setting, {keys[setting]} and {key}. Delete one of them."
            )
        keys[setting] = key
    return {setting: secrets[key] for setting, key in keys.items()}


def _setting(key: str) -> str:
    return key.replace("-", "_").lower()


def with_database_urls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a secret with DATABASE_URL and DATABASE_READER_URL in place of RDS's keys."""
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
