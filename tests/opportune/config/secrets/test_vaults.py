"""Settings from Google Secret Manager and Azure Key Vault. The clients are real; a fake handles their HTTP requests."""

import base64
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import responses
from requests import PreparedRequest

from opportune.config.base_settings import BaseSettings, read_class
from opportune.config.project import settings_class
from opportune.config.secrets import source
from opportune.config.secrets.source import open_secrets, read_settings
from opportune.config.settings import Settings, load_settings
from opportune.errors import SettingsError

SECRET = "p@ss/w:rd%?#[é"
TENANT = "11111111-1111-1111-1111-111111111111"
LOGIN = f"https://login.microsoftonline.com/{TENANT}"
AZURE_URL = "https://site.vault.azure.net/secrets"
GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"

Response = tuple[int, dict[str, str], str]


class Cloud:
    """A fake provider. A secret whose value is None is disabled."""

    source = ""
    package = ""
    token_url = ""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes | None] = {}
        self.status = 200
        self.paths: list[str] = []

    def respond(self, request: PreparedRequest) -> Response:
        path = request.path_url.partition("?")[0]
        self.paths.append(path)
        name = re.search(r"/secrets/([^/]+)", path)
        if self.status != 200:
            return self.status, {}, json.dumps({"error": {"code": "X", "message": f"{SECRET} of account 123456789012"}})
        return self.secret(name[1]) if name else (200, {}, json.dumps(self.listing()))

    def secret(self, name: str) -> Response:
        raise NotImplementedError

    def listing(self) -> object:
        raise NotImplementedError


class Google(Cloud):
    source = "gcp:site"
    package = "google.cloud.secretmanager"
    token_url = GOOGLE_TOKEN_URL

    def secret(self, name: str) -> Response:
        value = self.secrets[name]
        if value is None:
            return 400, {}, json.dumps({"error": {"code": 400, "status": "FAILED_PRECONDITION"}})
        return 200, {}, json.dumps({"payload": {"data": base64.b64encode(value).decode()}})

    def listing(self) -> object:
        return {"secrets": [{"name": f"projects/123/secrets/{name}"} for name in self.secrets]}


class Azure(Cloud):
    source = "azure:site"
    package = "azure.keyvault.secrets"
    token_url = f"{LOGIN}/oauth2/v2.0/token"

    def respond(self, request: PreparedRequest) -> Response:
        if "Authorization" not in request.headers:
            challenge = f'Bearer authorization="{LOGIN}", resource="https://vault.azure.net"'
            return 401, {"WWW-Authenticate": challenge}, "{}"
        return super().respond(request)

    def secret(self, name: str) -> Response:
        value = self.secrets[name.replace("-", "_")] or b""
        return 200, {}, json.dumps({"value": value.decode(), "id": f"{AZURE_URL}/{name}/1"})

    def listing(self) -> object:
        return {
            "value": [
                {"id": f"{AZURE_URL}/{name.replace('_', '-')}", "attributes": {"enabled": value is not None}}
                for name, value in self.secrets.items()
            ]
        }


@pytest.fixture(autouse=True)
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AZURE_CLIENT_ID": "site",
        "AZURE_CLIENT_SECRET": "credential",
        "AZURE_TENANT_ID": TENANT,
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        "CLOUDSDK_CONFIG": str(tmp_path),
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "google.json"),
        "NO_GCE_CHECK": "true",
    }.items():
        monkeypatch.setenv(name, value)
    user = {"type": "authorized_user", "client_id": "site", "client_secret": "secret", "refresh_token": "refresh"}
    (tmp_path / "google.json").write_text(json.dumps({**user, "quota_project_id": "site"}))
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")
    open_secrets.cache_clear()
    yield
    open_secrets.cache_clear()


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        endpoints = {"token_endpoint": Azure.token_url, "authorization_endpoint": LOGIN, "issuer": f"{LOGIN}/v2.0"}
        mock.get(f"{LOGIN}/v2.0/.well-known/openid-configuration", json=endpoints)
        token = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
        mock.post(GOOGLE_TOKEN_URL, json=token)
        mock.post(Azure.token_url, json=token)
        yield mock


@pytest.fixture
def google(mock: responses.RequestsMock) -> Google:
    google = Google()
    mock.add_callback("GET", re.compile("https://secretmanager.googleapis.com/v1/projects/"), google.respond)
    return google


@pytest.fixture
def azure(mock: responses.RequestsMock) -> Azure:
    azure = Azure()
    mock.add_callback("GET", re.compile("https://site.vault.azure.net/"), azure.respond)
    return azure


@pytest.fixture(params=["google", "azure"])
def cloud(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def read(cloud: Cloud) -> Settings:
    return load_settings(secrets_from=cloud.source)


def settings_error(source: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(secrets_from=source)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def test_secret_is_a_setting(cloud: Cloud) -> None:
    cloud.secrets = {"LLM_API_KEY": SECRET.encode(), "ALLOWED_HOSTS": b"a.example, b.example", "port": b"1234"}
    settings = read(cloud)
    assert settings.llm_api_key.get_secret_value() == SECRET
    assert (settings.port, settings.allowed_hosts) == (1234, ["a.example", "b.example"])


def test_unrelated_secrets_are_not_fetched(cloud: Cloud) -> None:
    cloud.secrets = {"PORT": b"1", "OTHER_SITE_KEY": b"x"}
    read(cloud)
    assert [path for path in cloud.paths if "OTHER" in path] == []


def test_secrets_are_fetched_once(cloud: Cloud) -> None:
    cloud.secrets = {"PORT": b"1"}
    read(cloud)
    requests = len(cloud.paths)
    read(cloud)
    assert read_settings(cloud.source, ["port", "log_format"]) == {"port": "1"}
    assert len(cloud.paths) == requests


def test_feature_setting_is_read_as_json(cloud: Cloud) -> None:
    class BooksSettings(BaseSettings):
        shelves: tuple[str, ...] = ()

    cloud.secrets = {"SHELVES": b'["a", "b"]'}
    assert read_class(BooksSettings, secrets_from=cloud.source).shelves == ("a", "b")


def test_vaults_are_merged(azure: Azure, google: Google) -> None:
    azure.secrets = {"PORT": b"1"}
    google.secrets = {"PORT": b"2", "LOG_FORMAT": b"json"}
    assert read(azure).port == 1
    assert load_settings(secrets_from="gcp:site,other").log_format == "json"


def test_disabled_azure_secret_is_ignored(azure: Azure) -> None:
    azure.secrets = {"PORT": None}
    assert read(azure).port == 8000


@pytest.mark.parametrize("value", [None, b"\xff\xfe"])
def test_disabled_or_binary_google_version_is_refused(google: Google, value: bytes | None) -> None:
    google.secrets = {"PORT": value}
    assert settings_error("gcp:site").startswith("SECRETS_FROM: site, secret PORT cannot be read. Its newest version")


def test_two_secrets_for_one_setting_are_refused(google: Google) -> None:
    google.secrets = {"PORT": b"1", "port": b"2"}
    assert "two secrets for one setting, PORT and port" in settings_error("gcp:site")


@pytest.mark.parametrize("status", [401, 403])
def test_http_error_is_explained_without_details(cloud: Cloud, status: int) -> None:
    cloud.status = status
    text = settings_error(cloud.source)
    assert text.startswith("SECRETS_FROM: site cannot be read (")
    assert "123456789012" not in text


def test_missing_credentials_are_explained(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    assert "Check the" in settings_error(cloud.source)
    assert caplog.record_tuples == []


def test_values_are_not_logged(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.secrets = {"LLM_API_KEY": SECRET.encode()}
    with caplog.at_level(logging.DEBUG):
        read(cloud)
    assert SECRET not in caplog.text
    assert base64.b64encode(SECRET.encode()).decode() not in caplog.text


def test_missing_package_names_the_command(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, cloud.package, None)
    assert settings_error(cloud.source).endswith(f"python3 oppman.py install {cloud.source.partition(':')[0]}")


def test_silent_store_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = Event()
    monkeypatch.setattr(source, "open_secrets", lambda _scheme, _name: is_over.wait() and {})
    monkeypatch.setattr(source, "TIMEOUT_SECONDS", 0.01)
    assert "(no response within 0.01 seconds)" in settings_error("azure:site")
    is_over.set()
