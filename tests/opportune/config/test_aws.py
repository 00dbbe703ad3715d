"""Settings from AWS Secrets Manager, which moto's server fakes."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opportune.config import secrets as source
from opportune.config.settings import Settings, load_settings
from opportune.project.modules import settings_class
from tests.opportune.config.secret_stores import SECRET, settings_error
from tests.opportune.guides import read_guide

REGION = "eu-central-1"
SERVER = {"engine": "postgres", "host": "site.abc.eu-central-1.rds.amazonaws.com", "port": "5433"}
RDS = {**SERVER, "username": "site user", "password": SECRET, "dbname": "site"}

CreateSecret = Callable[..., str]
SetContent = Callable[[Any], str]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # takes long, where tests are only collected

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def manager(endpoint: str) -> Any:
    from boto3 import Session  # as above

    session = Session("testing", "testing", region_name=REGION)
    return session.client("secretsmanager", endpoint_url=endpoint)


@pytest.fixture(scope="module", autouse=True)
def _cache_service_descriptions() -> Iterator[None]:
    """Cache boto3's description of AWS, which takes longer to read than a test."""
    from botocore import session  # as above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", cache(session.create_loader))
        yield


@pytest.fixture(autouse=True)
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ignore accounts and files of this machine and secrets that an earlier test has read."""
    source.open_secrets.cache_clear()
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    for name, value in {
        "ENDPOINT_URL": endpoint,
        "DEFAULT_REGION": REGION,
        "ACCESS_KEY_ID": "testing",
        "SECRET_ACCESS_KEY": "testing",
        "EC2_METADATA_DISABLED": "true",
        "CONFIG_FILE": str(tmp_path / "config"),
        "SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")


@pytest.fixture
def create_secret(request: pytest.FixtureRequest, manager: Any) -> CreateSecret:
    """Store an object or text; return the ARN."""

    def create(content: Any, name: str = "") -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        arn: str = manager.create_secret(Name=name or request.node.name, SecretString=text)["ARN"]
        return arn

    return create


@pytest.fixture
def set_content(monkeypatch: pytest.MonkeyPatch) -> SetContent:
    """Set the content of every secret without a request."""

    def set_(content: Any) -> str:
        monkeypatch.setattr(source, "open_secrets", lambda _scheme, _name: content)
        return "site"

    return set_


def read(secret: str) -> Settings:
    return load_settings(secrets_from=f"aws:{secret}")


def test_order_of_sources(create_secret: CreateSecret, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    create_secret({"PORT": 1, "llm_model": "from secret", "unknown": {}}, name="order")
    (tmp_path / ".env").write_text("SECRETS_FROM=aws:order\nPORT=2\nLLM_MODEL=from file\nLOG_FORMAT=json\n")
    monkeypatch.setenv("PORT", "3")
    settings = load_settings()
    assert (settings.port, settings.llm_model, settings.log_format) == (3, "from secret", "json")
    assert load_settings(port=4).port == 4
    monkeypatch.setenv("SECRETS_FROM", "")
    assert load_settings().llm_model == "from file"


URL = f"postgresql://site%20user:p%40ss%2Fw%3Ard%25%3F%23%5B%C3%A9@{RDS['host']}:5433/site?sslmode=require"


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, URL),
        ({"host": "127.0.0.1"}, URL.replace(RDS["host"], "127.0.0.1").partition("?")[0]),
        ({"sslmode": "verify-full"}, URL.replace("require", "verify-full")),
        ({"DATABASE_URL": "postgresql://elsewhere/db"}, "postgresql://elsewhere/db"),
    ],
)
def test_rds_keys_set_the_database_only(set_content: SetContent, more: dict[str, str], url: str) -> None:
    settings = read(set_content({**RDS, **more, "HOST": "::1", "PORT": 80}))
    assert settings.database_url.get_secret_value() == url
    assert (settings.host, settings.port) == ("::1", 80)
    assert settings.database_reader_url.get_secret_value() == ""


def test_secret_of_the_guide_is_read(set_content: SetContent) -> None:
    guide = read_guide("deploy.md")
    example = guide[guide.index("## Secrets from AWS") :].partition("```json\n")[2].partition("```")[0]
    settings = read(set_content(json.loads(example)))
    expected = {"secrets_from", "secret_key", "llm_api_key", "database_url", "database_reader_url"}
    assert settings.model_fields_set >= expected


def test_secrets_are_merged(create_secret: CreateSecret) -> None:
    rotated_arn = create_secret({key: RDS[key] for key in ("username", "password")}, name="rds!cluster-1")
    create_secret({"host": RDS["host"], "engine": "aurora-postgresql", "LOG_FORMAT": "json"}, name="site/production")
    settings = read(f"{rotated_arn}, site/production")
    assert settings.database_url.get_secret_value().startswith("postgresql://site%20user:p%40ss")
    assert settings.log_format == "json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"unknown": SECRET}, "has no setting"),
        ({**RDS, "engine": "mysql"}, "not PostgreSQL"),
        ({"engine": "postgres", "password": SECRET}, "lacks host and username"),
        ({"PORT": SECRET}, "PORT: "),
        ({"SECRET_KEY": 5}, "SECRET_KEY: "),
    ],
)
def test_invalid_secret_is_refused_without_value(set_content: SetContent, content: Any, message: str) -> None:
    assert message in settings_error(f"aws:{set_content(content)}")


@pytest.mark.parametrize("content", [f'{{"password": "{SECRET}"', [SECRET]])
def test_secret_must_be_a_json_object(create_secret: CreateSecret, content: Any) -> None:
    assert "is not a JSON object" in settings_error(f"aws:{create_secret(content)}")


@pytest.mark.parametrize("secrets_from", ["aws:", "aws:a,,b", "vault:site"])
def test_invalid_source_is_refused(secrets_from: str) -> None:
    assert settings_error(secrets_from) == "SECRETS_FROM must be empty, aws:SECRET, gcp:PROJECT or azure:VAULT."


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "ResourceNotFoundException"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "NoCredentialsError"),
        ({"AWS_PROFILE": "unknown"}, "ProfileNotFound"),
    ],
)
def test_boto3_error_is_explained(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str | None], reason: str) -> None:
    for name, value in environ.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    assert settings_error("aws:missing").startswith(f"SECRETS_FROM: missing cannot be read ({reason}). Check its name")
