"""AWS Secrets Manager: `SECRETS_FROM=aws:NAME`. Names or ARNs of several secrets are separated by commas.

A secret is a JSON object. Its keys are names of settings, or the keys that RDS uses for a database. Several secrets are
merged, so one can contain the password that RDS rotates, and another one the other settings.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from functools import cache
from typing import Any
from urllib.parse import quote

from opportune.config.secrets.vault import INSTALL, TIMEOUT_SECONDS
from opportune.errors import SettingsError

ENGINES = ("postgres", "postgresql", "aurora-postgresql")
RDS_KEYS = {"engine", "host", "port", "username", "password", "dbname"}
# RDS has no key for a read replica. Projects use names such as reader_host, hostRo and READ-HOST.
READER_KEYS = {
    *("readerhost", "hostreader", "readhost", "rohost", "hostro", "readonlyhost", "replicahost", "readerendpoint"),
}
WRONG_CREDENTIALS = "AWS does not accept these credentials. They are wrong or have expired."
REFUSALS = {
    "ResourceNotFoundException": "There is no such secret in this region. Check its name and AWS_DEFAULT_REGION.",
    "AccessDeniedException": (
        "These credentials may not read it. Allow secretsmanager:GetSecretValue, and kms:Decrypt if it has its own key."
    ),
    "DecryptionFailure": "These credentials may not decrypt it. Allow kms:Decrypt for its key.",
    "InvalidRequestException": "It cannot be read, perhaps because it is scheduled for deletion. Restore it.",
    "ExpiredTokenException": WRONG_CREDENTIALS,
    "IncompleteSignatureException": WRONG_CREDENTIALS,
    "InvalidClientTokenId": WRONG_CREDENTIALS,
    "InvalidSignatureException": WRONG_CREDENTIALS,
    "UnrecognizedClientException": WRONG_CREDENTIALS,
}


def read_settings(
    secrets: Iterable[str], settings: Collection[str], all_setting_names: Callable[[], Collection[str]] = tuple
) -> dict[str, Any]:
    """Return the values of those settings that the secrets have.

    Args:
        secrets: Names or ARNs of the secrets.
        settings: Names of the settings to read.
        all_setting_names: Returns the names of all settings of the site, to detect a secret without any of them.

    Raises:
        SettingsError: The secrets cannot be read, or contain no setting. The message shows no value.
    """
    content: dict[str, Any] = {}
    for name in secrets:
        content |= read_secret(name)
    values = _database_urls(content) | _by_setting(content, settings)
    if not values and not {key.upper() for key in content} & set(all_setting_names()):
        raise SettingsError(
            f"SECRETS_FROM: {', '.join(secrets)} has no setting. Use names of settings as keys, such as DATABASE_URL, "
            "or the keys of RDS with host, username and password."
        )
    return values


@cache
def read_secret(name: str) -> dict[str, Any]:
    """Return the JSON object of a secret. It is fetched once for the site and all its features."""
    return _parse(name, _fetch(name))


def _fetch(name: str) -> object:
    try:
        from botocore import exceptions as boto

        with closing(_client(name)) as client:
            return client.get_secret_value(SecretId=name).get("SecretString")
    except ImportError:
        raise SettingsError(f"SECRETS_FROM needs packages for AWS: {INSTALL} requirements/aws.lock") from None
    except (boto.ClientError, boto.BotoCoreError, ValueError) as error:
        raise SettingsError(f"SECRETS_FROM: {name}: {_explain(error)}") from None


def _client(name: str) -> Any:
    from boto3 import Session
    from botocore.config import Config

    session = Session()
    # An ARN names its region. Lambda and ECS set AWS_REGION, which boto3 does not read.
    region = name.split(":")[3] if name.count(":") > 3 else session.region_name or os.environ.get("AWS_REGION")
    config = Config(connect_timeout=3, read_timeout=TIMEOUT_SECONDS, retries={"total_max_attempts": 2})
    return session.client("secretsmanager", region_name=region, config=config)


def _explain(error: Exception) -> str:
    """Return the reason without boto3's details, which include account numbers and file names."""
    from botocore import exceptions as boto

    type_ = type(error).__name__
    match error:
        case boto.ClientError():
            code = error.response["Error"]["Code"]
            return REFUSALS.get(code, f"AWS reports {code}.")
        case boto.NoRegionError() | boto.InvalidRegionError():
            return "The region is missing or invalid. Set AWS_DEFAULT_REGION, or use the secret's ARN."
        case boto.HTTPClientError() | boto.ConnectionError():
            return f"AWS cannot be reached ({type_}). Check network, region and AWS_ENDPOINT_URL."
        case boto.BotoCoreError() if "Credential" in type_ or "Token" in type_:
            return "There are no AWS credentials. Give the machine a role, or set AWS_ACCESS_KEY_ID and the like."
        case boto.BotoCoreError():
            return f"boto3 reports {type_}. Check the AWS_… variables and ~/.aws/config."
        case _:
            return "AWS_ENDPOINT_URL is invalid. Use an address such as http://127.0.0.1:4566."


def _parse(name: str, text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise SettingsError(f"SECRETS_FROM: {name} is binary, or AWS_ENDPOINT_URL is wrong. Store JSON as text.")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError(f"SECRETS_FROM: {name} is not JSON. Store an object with names of settings.") from None
    if not isinstance(content, dict):
        raise SettingsError(f"SECRETS_FROM: {name} is not a JSON object. Store names of settings with their values.")
    return {key: value for key, value in content.items() if value is not None}


def _has_database(content: Mapping[str, Any]) -> bool:
    return "engine" in content or {"host", "username", "password"} <= content.keys()


def _by_setting(content: Mapping[str, Any], settings: Collection[str]) -> dict[str, Any]:
    """Return the values by setting. Keys may have any case, but the lower-case keys of an RDS database are ignored."""
    ignored = RDS_KEYS if _has_database(content) else set()
    names = {key: key.lower() for key in content if key not in ignored}
    return {name: content[key] for key, name in names.items() if name in settings}


def _database_urls(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return DATABASE_URL and DATABASE_READER_URL from the keys of RDS."""
    if not _has_database(content):
        return {}
    if content.get("engine", ENGINES[0]) not in ENGINES:
        raise SettingsError("SECRETS_FROM: the engine of the database is not PostgreSQL. No other engine of RDS works.")
    if missing := [key for key in ("host", "username", "password") if key not in content]:
        raise SettingsError(f"SECRETS_FROM: the database lacks {' and '.join(missing)}.")
    urls = {"database_url": _url(content, content["host"])}
    for key, host in content.items():
        if key.lower().replace("_", "").replace("-", "") in READER_KEYS:
            urls["database_reader_url"] = _url(content, host)
    return urls


def _url(content: Mapping[str, Any], host: object) -> str:
    parts = {"port": 5432, "dbname": "postgres", **content}
    user, password, port, name = (quote(str(parts[key]), safe="") for key in ("username", "password", "port", "dbname"))
    # Require TLS, except on this machine or if the secret has another sslmode.
    mode = content.get("sslmode") or ("" if host in ("localhost", "127.0.0.1", "::1") else "require")
    query = f"?sslmode={mode}" if mode else ""
    return f"postgresql://{user}:{password}@{f'[{host}]' if ':' in str(host) else host}:{port}/{name}{query}"
