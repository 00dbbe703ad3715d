"""Checks of settings, called without the command."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from opportune import checks
from opportune.cli.development import check
from opportune.contrib.llm.checks import check_llm, check_model
from opportune.contrib.llm.providers import libraries, local
from opportune.mail.checks import check_admin_email, check_mail
from opportune.testing.plugin import settings_for


@pytest.mark.parametrize(
    ("direct", "message"),
    [
        ("", "Migrations use the pooler"),
        ("postgresql://u:p@127.0.0.1:6432/name", "DATABASE_DIRECT_URL also uses a pooler"),
    ],
)
def test_pooled_database_gets_notes(direct: str, message: str) -> None:
    pooled = settings_for("postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/name?connection_limit=1&sslmode=require")
    notes = list(check.notices(pooled.model_copy(update={"database_direct_url": SecretStr(direct)})))
    assert "DATABASE_POOL_SIZE" in notes[0]
    assert message in notes[1]


@pytest.mark.parametrize(
    ("proxies", "header", "message"),
    [("", "", "is empty"), ("*", "", "is *"), ("*", "X-Real-IP", ""), ("10.0.0.1", "", "")],
)
def test_proxy_settings_that_hide_visitors_are_a_warning(proxies: str, header: str, message: str) -> None:
    update = {"trusted_proxies": proxies, "client_address_header": header}
    findings = list(checks.check_proxies(settings_for("sqlite://").model_copy(update=update)))
    assert [(finding.is_error, message in finding.text) for finding in findings] == [(False, True)] * bool(message)


@pytest.mark.parametrize(("email", "is_wrong"), [("", False), ("ada@example.org", False), ("ada at home", True)])
def test_invalid_admin_email_is_an_error(email: str, is_wrong: bool) -> None:
    findings = list(check_admin_email(settings_for("sqlite://").model_copy(update={"admin_email": email})))
    assert ["ADMIN_EMAIL" in finding.text and finding.is_error for finding in findings] == [True] * is_wrong


def test_http_base_url_is_a_warning() -> None:
    settings = settings_for("sqlite://").model_copy(update={"base_url": "http://example.org"})
    (finding,) = checks.check_hosts(settings)
    assert not finding.is_error


def test_short_key_is_a_warning() -> None:
    settings = settings_for("sqlite://").model_copy(update={"secret_key": SecretStr("sesame")})
    (finding,) = checks.check_secret_key(settings)
    assert not finding.is_error
    assert "shorter than 32" in finding.text
    assert "sesame" not in finding.text


@pytest.mark.parametrize(
    ("url", "model", "key", "missing"),
    [
        ("", "", "", []),
        ("http://127.0.0.1:11434/v1", "small", "", []),
        ("http://[::1]:11434/v1", "small", "", []),
        ("http://ollama:11434/v1", "small", "", []),
        ("https://openrouter.ai/api/v1", "small", "k", []),
        ("https://openrouter.ai/api/v1", "small", "", ["LLM_API_KEY"]),
        ("https://openrouter.ai/api/v1", "", "", ["LLM_MODEL", "LLM_API_KEY"]),
        ("http://localhost:11434/v1", "", "", ["LLM_MODEL"]),
    ],
)
def test_incomplete_endpoint_is_a_warning(url: str, model: str, key: str, missing: list[str]) -> None:
    update = {"llm_base_url": url, "llm_model": model, "llm_api_key": SecretStr(key)}
    findings = list(check_llm(settings_for("sqlite://").model_copy(update=update)))
    assert not any(finding.is_error for finding in findings)
    assert [finding.text.split("without ")[1].split(".")[0].split(",")[0] for finding in findings] == missing


def test_production_warns_about_console_mail() -> None:
    settings = settings_for("sqlite:///unused.db")
    fields = {"base_url": "https://example.org", "mail_url": SecretStr("smtp://mail.example.org")}
    assert [finding.text[:21] for finding in check_mail(settings)] == ["MAIL_URL is console, "]
    assert list(check_mail(settings.model_copy(update=fields))) == []
    fields |= {"base_url": "", "allowed_hosts": ["example.org"]}
    assert [finding.text[:17] for finding in check_mail(settings.model_copy(update=fields))] == ["BASE_URL is empty"]


def test_fresh_project_without_database_has_no_error(tmp_path: Path) -> None:
    path = SecretStr(f"sqlite:///{tmp_path}/app.db")
    fresh = settings_for("sqlite:///unused.db").model_copy(update={"environment": "development", "database_url": path})
    fresh.model_fields_set.discard("database_url")
    assert [finding.is_error for finding in check.check_database(fresh)] == [False]


@pytest.mark.parametrize(
    ("storage", "host", "message"),
    [
        ("file:./data/uploads", "", "STORAGE_URL is a folder"),
        ("file:{tmp_path}/uploads", "RENDER", "on a disk that this host does not keep"),
        ("s3://AK:s3cr3t@host/files", "RENDER", ""),
    ],
)
def test_production_warns_about_ephemeral_uploads(
    storage: str, host: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(host or "AT_HOME", "true")
    update = {"storage_url": SecretStr(storage.format(tmp_path=tmp_path))}
    findings = list(checks.check_uploads(settings_for("sqlite://").model_copy(update=update)))
    assert [(finding.is_error, message in finding.text) for finding in findings] == [(False, True)] * bool(message)


@pytest.mark.parametrize(
    ("url", "weights", "warns"), [("", False, True), ("", True, False), ("http://x/v1", False, False)]
)
def test_production_warns_about_a_missing_model(
    url: str, weights: bool, warns: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: tmp_path / "model.gguf" if weights else None)
    update = {"environment": "production", "llm_base_url": url, "llm_model": "small"}
    findings = list(check_model(settings_for("sqlite://").model_copy(update=update)))
    matches = ["There is no language model" in finding.text and not finding.is_error for finding in findings]
    assert matches == [True] * warns


def test_missing_model_library_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(libraries, "missing_library", lambda: "Do this: apt install libgomp1.")
    settings = settings_for("sqlite://").model_copy(update={"environment": "development"})
    assert list(check_llm(settings)) == [checks.Finding("Do this: apt install libgomp1.", is_error=False)]
