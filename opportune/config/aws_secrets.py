"""The settings that AWS Secrets Manager keeps: `SECRETS_FROM=aws:<name or ARN>`, or several of them with commas.

A secret is a JSON object. Its keys are names of settings, or those of the JSON that RDS keeps. Of several secrets the
keys come together, so that one may hold what RDS rotates (user and password) and another one the rest.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from functools import cache
from typing import Any
from urllib.parse import quote

from opportune.errors import SettingsError

AWS = "aws:"
INSTALL = "python3 -m pip install --no-deps --require-hashes -r requirements-aws.lock"
ENGINES = ("postgres", "postgresql", "aurora-postgresql")
RDS = {"engine", "host", "port", "username", "password", "dbname"}
# RDS has no name for it, and people have chosen these: reader_host, hostRo, READ-HOST …
READERS = {"readerhost", "hostreader", "readhost", "rohost", "hostro", "readonlyhost", "replicahost", "readerendpoint"}
WRONG_CREDENTIALS = "AWS does not accept these credentials: they are wrong, or no longer valid."
REFUSALS = {
    "ResourceNotFoundException": "there is no such secret in this region: look at its name and at AWS_DEFAULT_REGION.",
    "AccessDeniedException": (
        "these credentials may not read it: allow secretsmanager:GetSecretValue, and kms:Decrypt if it has a key of "
        "its own."
    ),
    "DecryptionFailure": "these credentials may not decrypt it: allow kms:Decrypt for its key.",
    "InvalidRequestException": "it cannot be read as it is, perhaps because it waits for its deletion: restore it.",
    "ExpiredTokenException": WRONG_CREDENTIALS,
    "IncompleteSignatureException": WRONG_CREDENTIALS,
    "InvalidClientTokenId": WRONG_CREDENTIALS,
    "InvalidSignatureException": WRONG_CREDENTIALS,
    "UnrecognizedClientException": WRONG_CREDENTIALS,
}


def settings_in(source: str, known: Collection[str], others: Callable[[], Collection[str]] = tuple) -> dict[str, Any]:
    """Those of the known settings that `SECRETS_FROM` leads to, by their attribute's name.

    A secret may hold settings of others alone: their variables are asked for only where nothing is known.

    Raises:
        SettingsError: with one line that shows no value of a secret.
    """
    names = [name.strip() for name in source.removeprefix(AWS).split(",")]
    if not source.startswith(AWS) or not all(names):
        raise SettingsError("SECRETS_FROM must be empty or aws:<name or ARN of a secret>.")
    kept: dict[str, Any] = {}
    for name in names:
        kept |= read_secret(name)
    found = _database_urls(kept) | _by_name(kept, known)
    if not found and not {key.upper() for key in kept} & set(others()):
        raise SettingsError(
            f"SECRETS_FROM: {', '.join(names)} holds no setting. Its keys are names of settings, such as DATABASE_URL, "
            "or those of RDS with host, username and password."
        )
    return found


@cache
def read_secret(name: str) -> dict[str, Any]:
    """The object in a secret, fetched once for the site and all its features."""
    return _object_in(name, _fetch(name))


def _fetch(name: str) -> object:
    try:
        from botocore import exceptions as boto

        with closing(_client(name)) as client:
            return client.get_secret_value(SecretId=name).get("SecretString")
    except ImportError:
        raise SettingsError(f"SECRETS_FROM needs boto3. Install it: {INSTALL}") from None
    except (boto.ClientError, boto.BotoCoreError, ValueError) as error:
        raise SettingsError(f"SECRETS_FROM: {name}: {_reason(error)}") from None


def _client(name: str) -> Any:
    """Region, credentials and AWS_ENDPOINT_URL are found by boto3's own rules, and bounded in time."""
    from boto3 import Session
    from botocore.config import Config

    session = Session()
    # An ARN tells its region; Lambda and ECS tell theirs by a name that boto3 does not read.
    region = name.split(":")[3] if name.count(":") > 3 else session.region_name or os.environ.get("AWS_REGION")
    patience = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return session.client("secretsmanager", region_name=region, config=patience)


def _reason(error: Exception) -> str:
    """In words of ours: those of boto3 hold account numbers, addresses and file names."""
    from botocore import exceptions as boto

    kind = type(error).__name__
    match error:
        case boto.ClientError():
            code = error.response["Error"]["Code"]
            return REFUSALS.get(code, f"AWS answered {code}.")
        case boto.NoRegionError() | boto.InvalidRegionError():
            return "no region is named, or none that exists: set AWS_DEFAULT_REGION, or use the secret's ARN."
        case boto.HTTPClientError() | boto.ConnectionError():
            return f"AWS cannot be reached ({kind}): look at network, region and AWS_ENDPOINT_URL."
        case boto.BotoCoreError() if "Credential" in kind or "Token" in kind:
            return "there are no credentials: give the machine a role, or set AWS_ACCESS_KEY_ID and its companions."
        case boto.BotoCoreError():
            return f"AWS cannot be asked ({kind}): look at the variables AWS_… and at ~/.aws/config."
        case _:
            return "AWS_ENDPOINT_URL is no address such as http://127.0.0.1:4566."


def _object_in(name: str, text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise SettingsError(
            f"SECRETS_FROM: {name} is binary, or AWS_ENDPOINT_URL is not that of AWS: store a JSON object as text."
        )
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError(f"SECRETS_FROM: {name} is not JSON: store an object with names of settings.") from None
    if not isinstance(kept, dict):
        raise SettingsError(f"SECRETS_FROM: {name} is JSON, but no object: store names of settings with their values.")
    return {key: value for key, value in kept.items() if value is not None}


def _is_of_rds(kept: Mapping[str, Any]) -> bool:
    return "engine" in kept or {"host", "username", "password"} <= kept.keys()


def _by_name(kept: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The settings in it, named in any case. Beside a database of RDS `host` is its, and HOST ours."""
    theirs = RDS if _is_of_rds(kept) else set()
    ours = {key: key.lower() for key in kept if key not in theirs}
    return {name: kept[key] for key, name in ours.items() if name in known}


def _database_urls(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Writer and reader, of the JSON that RDS keeps."""
    if not _is_of_rds(kept):
        return {}
    if kept.get("engine", ENGINES[0]) not in ENGINES:
        raise SettingsError("SECRETS_FROM: its engine is not PostgreSQL, the only one of RDS that can be used here.")
    if missing := [key for key in ("host", "username", "password") if key not in kept]:
        raise SettingsError(f"SECRETS_FROM: the database in it lacks {' and '.join(missing)}.")
    urls = {"database_url": _url(kept, kept["host"])}
    for key, host in kept.items():
        if key.lower().replace("_", "").replace("-", "") in READERS:
            urls["database_reader_url"] = _url(kept, host)
    return urls


def _url(kept: Mapping[str, Any], host: object) -> str:
    parts = {"port": 5432, "dbname": "postgres", **kept}
    user, password, port, name = (quote(str(parts[key]), safe="") for key in ("username", "password", "port", "dbname"))
    # Unencrypted only where nobody can listen, or where the secret says so.
    mode = kept.get("sslmode") or ("" if host in ("localhost", "127.0.0.1", "::1") else "require")
    query = f"?sslmode={mode}" if mode else ""
    return f"postgresql://{user}:{password}@{f'[{host}]' if ':' in str(host) else host}:{port}/{name}{query}"
