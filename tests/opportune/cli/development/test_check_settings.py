"""Checks of settings, called without the command."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from opportune import checks
from opportune.checks import Finding
from opportune.cli.development import database_checks
from opportune.cli.development.feature_checks import check_features
from opportune.config.settings import Settings
from opportune.contrib.llm.feature import check_llm, check_model
from opportune.contrib.llm_local import local
from opportune.mail.checks import check_mail
from opportune.testing.plugin import settings_for

CheckSettings = Callable[[Settings], Iterable[Finding]]
MAIL_SERVER = SecretStr("smtp://mail.example.org")


def changed(**changes: Any) -> Settings:
    """Return settings with these changes, which are not validated."""
    return settings_for("sqlite:///unused.db").model_copy(update=changes)


@pytest.mark.parametrize(
    ("direct", "message"),
    [("", "Migrations use the pooler"), ("postgresql://u:p@[::1]:6432/db", "DATABASE_DIRECT_URL also uses a pooler")],
)
def test_pooled_database_gets_notes(direct: str, message: str) -> None:
    pooled = settings_for("postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/name?connection_limit=1&sslmode=require")
    notes = list(database_checks.url_notices(pooled.model_copy(update={"database_direct_url": SecretStr(direct)})))
    assert "DATABASE_POOL_SIZE" in notes[0]
    assert message in notes[1]


@pytest.mark.parametrize(
    ("check_settings", "changes", "message"),
    [
        (checks.check_proxies, {"trusted_proxies": ""}, "TRUSTED_PROXIES is empty"),
        (checks.check_proxies, {"trusted_proxies": "*"}, "TRUSTED_PROXIES is *"),
        (checks.check_hosts, {"base_url": "http://example.org"}, "http://"),
        (checks.check_secret_key, {"secret_key": SecretStr("sesame")}, "shorter than 32"),
        (checks.check_uploads, {"storage_url": SecretStr("file:./data/uploads")}, "STORAGE_URL is a folder"),
        (check_features, {"jobs_limits": {"*": 9, "default": 2, "mial": 1}}, "no job has the queue mial."),
        (check_mail, {}, "MAIL_URL is console, "),
        (check_mail, {"allowed_hosts": ["example.org"], "mail_url": MAIL_SERVER}, "BASE_URL is empty"),
    ],
)
def test_doubtful_setting_is_a_warning(check_settings: CheckSettings, changes: dict[str, Any], message: str) -> None:
    (finding,) = check_settings(changed(**changes))
    assert message in finding.text
    assert not finding.is_error
    assert "sesame" not in finding.text


@pytest.mark.parametrize(
    ("url", "model", "missing"),
    [
        ("", "", []),
        ("", "small", ["LLM_BASE_URL"]),
        ("http://127.0.0.1:11434/v1", "small", []),
        ("https://openrouter.ai/api/v1", "small", ["LLM_API_KEY"]),
        ("https://openrouter.ai/api/v1", "", ["LLM_MODEL", "LLM_API_KEY"]),
    ],
)
def test_incomplete_endpoint_is_a_warning(url: str, model: str, missing: list[str]) -> None:
    findings = list(check_llm(changed(llm_base_url=url, llm_model=model, llm_api_key=SecretStr(""))))
    assert not any(finding.is_error for finding in findings)
    assert [finding.text.split("without ")[1].split(".")[0].split(",")[0] for finding in findings] == missing


def test_fresh_project_without_database_has_no_error(tmp_path: Path) -> None:
    fresh = changed(environment="development", database_url=SecretStr(f"sqlite:///{tmp_path}/app.db"))
    fresh.model_fields_set.discard("database_url")
    assert [finding.is_error for finding in database_checks.check_database(fresh)] == [False]


@pytest.mark.parametrize(
    ("storage", "message"), [("file:{folder}", "on a disk that this host does not keep"), ("s3://AK:s@host/files", "")]
)
def test_host_may_delete_uploads(storage: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDER", "true")
    findings = list(checks.check_uploads(changed(storage_url=SecretStr(storage.format(folder=tmp_path)))))
    assert [(finding.is_error, message in finding.text) for finding in findings] == [(False, True)] * bool(message)


@pytest.mark.parametrize("weights", [None, Path("model.gguf")])
def test_production_warns_about_a_missing_model(weights: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: weights)
    findings = list(check_model(changed(environment="production", llm_base_url="", llm_model="small")))
    matches = ["There is no language model" in finding.text and not finding.is_error for finding in findings]
    assert matches == [True] * (weights is None)
