"""Settings from Google Secret Manager and Azure Key Vault. The clients are real; `responses` answers their requests."""

import base64
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import responses
from requests import PreparedRequest

from opportune.config import secrets as source
from opportune.config.base_settings import BaseSettings, read_class
from opportune.config.settings import load_settings
from opportune.project.modules import settings_class
from tests.opportune.config.secret_stores import SECRET, settings_error

LOGIN = "https://login.microsoftonline.com/tenant"
SOURCES = ("gcp:site", "azure:site")
TEXTS = {"LLM_API_KEY": SECRET, "ALLOWED_HOSTS": "a.example, b.example", "SHELVES": '["a", "b"]'}
SECRETS = {**TEXTS, "port": "1234", "OTHER_SITE_KEY": "x"}


class Cloud:
    """Both stores with the same secrets. A secret whose value is None is disabled."""

    def __init__(self) -> None:
        self.secrets: dict[str, str | None] = dict(SECRETS)
        self.status = 200
        self.paths: list[str] = []

    def respond(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        is_azure = "vault.azure.net" in str(request.url)
        if "Authorization" not in request.headers:
            challenge = f'Bearer authorization="{LOGIN}", resource="https://vault.azure.net"'
            return 401, {"WWW-Authenticate": challenge}, "{}"
        path = request.path_url.partition("?")[0]
        self.paths.append(path)
        if self.status != 200:
            return self.status, {}, json.dumps({"error": {"code": "X", "message": f"{SECRET} of account 123456789012"}})
        if name := re.search(r"/secrets/([^/]+)", path):
            value = self.secrets[name[1].replace("-", "_")]
            if value is None:
                return 400, {}, json.dumps({"error": {"code": 400, "status": "FAILED_PRECONDITION"}})
            encoded = base64.b64encode(value.encode("latin-1" if "\xff" in value else "utf-8")).decode()
            body = {"value": value, "id": f"https://site.vault.azure.net{path}/1", "payload": {"data": encoded}}
            return 200, {}, json.dumps(body)
        if not is_azure:
            return 200, {}, json.dumps({"secrets": [{"name": f"projects/1/secrets/{name}"} for name in self.secrets]})
        url = "https://site.vault.azure.net/secrets"
        ids = {f"{url}/{name.replace('_', '-')}": value is not None for name, value in self.secrets.items()}
        rows = [{"id": id_, "attributes": {"enabled": is_enabled}} for id_, is_enabled in ids.items()]
        return 200, {}, json.dumps({"value": rows})


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in {
        "AZURE_CLIENT_ID": "site",
        "AZURE_CLIENT_SECRET": "credential",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        "CLOUDSDK_CONFIG": str(tmp_path),
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "google.json"),
        "NO_GCE_CHECK": "true",
    }.items():
        monkeypatch.setenv(name, value)
    user = {"type": "authorized_user", "client_id": "site", "client_secret": "secret", "refresh_token": "refresh"}
    (tmp_path / "google.json").write_text(json.dumps({**user, "quota_project_id": "site"}))
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")
    source.open_secrets.cache_clear()
    cloud = Cloud()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        token_url = f"{LOGIN}/oauth2/v2.0/token"
        endpoints = {"token_endpoint": token_url, "authorization_endpoint": LOGIN, "issuer": f"{LOGIN}/v2.0"}
        mock.get(f"{LOGIN}/v2.0/.well-known/openid-configuration", json=endpoints)
        for url in (token_url, "https://oauth2.googleapis.com/token"):
            mock.post(url, json={"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})
        hosts = re.compile("https://(secretmanager.googleapis.com|site.vault.azure.net)/")
        mock.add_callback("GET", hosts, cloud.respond)
        yield cloud
    source.open_secrets.cache_clear()


@pytest.mark.parametrize("secrets_from", SOURCES)
def test_secrets_are_settings_fetched_once(cloud: Cloud, secrets_from: str, caplog: pytest.LogCaptureFixture) -> None:
    class BooksSettings(BaseSettings):
        shelves: tuple[str, ...] = ()

    with caplog.at_level(logging.DEBUG):
        settings = load_settings(secrets_from=secrets_from)
        assert read_class(BooksSettings, secrets_from=secrets_from).shelves == ("a", "b")
        load_settings(secrets_from=secrets_from)
    assert settings.llm_api_key.get_secret_value() == SECRET
    assert (settings.port, settings.allowed_hosts) == (1234, ["a.example", "b.example"])
    assert sorted(set(cloud.paths)) == sorted(cloud.paths)
    assert not any("OTHER" in path for path in cloud.paths)
    assert SECRET not in caplog.text
    assert base64.b64encode(SECRET.encode()).decode() not in caplog.text


def test_last_vault_wins(cloud: Cloud) -> None:
    assert load_settings(secrets_from="gcp:other,site").port == 1234
    cloud.secrets = {"LOG_FORMAT": "json"}
    source.open_secrets("gcp", "third")
    assert load_settings(secrets_from="gcp:site,third").log_format == "json"


@pytest.mark.parametrize("value", [None, "\xff\xfe"])
def test_disabled_or_binary_google_version_is_refused(cloud: Cloud, value: str | None) -> None:
    cloud.secrets = {"PORT": value}
    assert settings_error("gcp:site").startswith("SECRETS_FROM: site, secret PORT cannot be read. Its newest version")


@pytest.mark.parametrize("secrets_from", SOURCES)
def test_refusal_is_explained_without_details(cloud: Cloud, secrets_from: str) -> None:
    cloud.status = 403
    text = settings_error(secrets_from)
    assert text.startswith("SECRETS_FROM: site cannot be read (")
    assert "123456789012" not in text


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("secrets_from", SOURCES)
def test_missing_credentials_are_explained(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, secrets_from: str
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    assert "Check the" in settings_error(secrets_from)
    assert caplog.record_tuples == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("secrets_from", "package"), [("gcp:site", "google.cloud.secretmanager"), ("azure:site", "azure.keyvault.secrets")]
)
def test_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch, secrets_from: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert settings_error(secrets_from).endswith(f"python3 oppman.py install {secrets_from.partition(':')[0]}")


def test_silent_store_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("_multiprocessing.SemLock")  # as without semaphores
    is_over = Event()
    monkeypatch.setattr(source, "open_secrets", lambda _scheme, _name: is_over.wait() and {})
    monkeypatch.setattr(source, "TIMEOUT_SECONDS", 0.01)
    assert "(no response within 0.01 seconds)" in settings_error("azure:site")
    is_over.set()


def test_two_secrets_for_one_setting_are_refused(cloud: Cloud) -> None:
    cloud.secrets = {"PORT": "1", "port": "2"}
    assert "two secrets for one setting, PORT and port" in settings_error("gcp:site")
