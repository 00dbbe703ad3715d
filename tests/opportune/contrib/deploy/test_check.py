"""`deploy check`: settings that a host supports, rejects or ignores."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from opportune.checks import Finding
from opportune.cli.development.check import deploy_checks
from opportune.config.hosts import HOST_VARIABLES
from opportune.contrib.deploy.check import check_current_host, check_deployment
from opportune.contrib.deploy.env_production import required_names
from opportune.contrib.deploy.host_file_checks import check_file
from opportune.contrib.deploy.recipes import RECIPES
from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.contrib.deploy.values import check_values, settings_from
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.deploy.good_values import NEON, values_for

OPTIONS = DeploymentOptions(is_paid=False, has_volume=False, has_pooler=False)


def check_settings(
    host: str, changes: Mapping[str, str] = MappingProxyType({}), options: DeploymentOptions = OPTIONS
) -> list[Finding]:
    recipe, values = RECIPES[host], values_for(host, **changes)
    settings, find_errors = settings_from(recipe, values)
    findings = check_deployment(Deployment(recipe, settings, values, options)) if settings else ()
    return [*check_values(recipe, values), *find_errors, *findings]


def find_errors(*arguments: Any) -> list[str]:
    return [finding.text for finding in check_settings(*arguments) if finding.is_error]


@pytest.mark.parametrize("host", RECIPES)
def test_only_empty_required_settings_are_errors(host: str) -> None:
    assert find_errors(host) == []
    empty = dict.fromkeys(required_names(RECIPES[host]), "")
    texts = " ".join(find_errors(host, empty))
    sets = RECIPES[host].sets
    assert [name for name in empty if f"{name} is" not in texts and name not in sets] == []


ERRORS: list[tuple[str, Mapping[str, str], str]] = [
    ("fly", {"DEBUG": "true"}, "DEBUG shows secrets"),
    ("leapcell", {"ENVIRONMENT": ""}, "ENVIRONMENT is missing"),
    ("render", {"DATABASE_URL": "sqlite:///./data/app.db"}, "DATABASE_URL is SQLite, which Render deletes"),
    ("render", {"BACKUP_URL": "s3://KEY:SECRET@HOST/BUCKET/FOLDER"}, "BACKUP_URL still contains the example KEY"),
    ("render", {"DATABASE_URL": "postgresql://postgres:pw@db.abcd.supabase.co:5432/postgres"}, "only has IPv6"),
    ("fly", {"DATABASE_URL": "postgresql://u:p@localhost/site"}, "names localhost, which the host cannot reach"),
    ("huggingface", {"DATABASE_URL": NEON}, "uses port 5432, but Hugging Face Spaces only allows 80, 443, 8080"),
    ("fly", {"DATABASE_URL": NEON.replace("require", "disable")}, "DATABASE_URL disables TLS"),
    ("render", {"STORAGE_URL": "file:./data/uploads"}, "STORAGE_URL is a folder, which Render deletes"),
    ("render", {"MAIL_URL": "smtp://u:p@smtp.lisbon.pt:587"}, "port 587, which Render blocks on free plans"),
    ("fly", {"MAIL_URL": "smtp://127.0.0.1:1025"}, "MAIL_URL names a server on your own machine"),
    ("heroku", {"BASE_URL": ""}, "BASE_URL is missing. Public address of the site, shown by heroku info"),
    ("fly", {"BASE_URL": "http://localhost:8000"}, "BASE_URL is http://localhost:8000, your own machine"),
    ("linux", {"BASE_URL": "https://example.org"}, "an example"),
    ("compose", {"POSTGRES_PASSWORD": "a/b@c"}, "use only letters and digits"),
    ("fly", {"ALLOWED_HOSTS": "lisbon.pt"}, "ALLOWED_HOSTS lacks circle.lisbon.pt"),
    ("koyeb", {"TRUSTED_PROXIES": ""}, "set TRUSTED_PROXIES=*"),
    ("cloudrun", {"JOBS": "inline"}, "on Google Cloud Run nothing runs between requests"),
    ("fly", {"STOP_DELAY_SECONDS": "40"}, "STOP_DELAY_SECONDS is 40, but Fly.io kills the site after 30 s"),
    ("leapcell", {"LLM_MODELS": "x" * 3000}, "LLM_MODELS"),
]


@pytest.mark.parametrize(("host", "changes", "message"), ERRORS)
def test_bad_setting_is_an_error(host: str, changes: Mapping[str, str], message: str) -> None:
    assert [text for text in find_errors(host, changes) if message in text]


WARNINGS: list[tuple[str, Mapping[str, str], str]] = [
    ("fly", {"DATABSE_POOL_SIZE": "3"}, "Did you mean DATABASE_POOL_SIZE?"),
    ("fly", {"DATABASE_URL": NEON.replace("123456.", "123456-pooler.")}, "set DATABASE_DIRECT_URL to the same URL"),
    ("fly", {"DATABASE_POOL_SIZE": "50"}, "may open 110 connections, but the smallest database of Neon allows 97"),
    ("kubernetes", {"DATABASE_URL": NEON, "DATABASE_CONNECTIONS": "120"}, "97: set DATABASE_CONNECTIONS=97"),
    ("heroku", {"CLIENT_ADDRESS_HEADER": "X-Real-IP"}, "clients may be able to forge"),
    ("fly", {"JOBS": "off"}, "no jobs run"),
    ("render", {"LLM_BASE_URL": "", "LLM_API_KEY": "", "LLM_MODEL": ""}, "No language model is configured"),
    ("kubernetes", {"CACHE_URL": "", "BUS": "memory"}, "do not tell each other"),
    ("fly", {"SECRETS_FROM": "aws:site", "SECRET_KEY": "", "DATABASE_URL": ""}, "SECRETS_FROM are not checked"),
]


@pytest.mark.parametrize(("host", "changes", "message"), WARNINGS)
def test_unusual_setting_is_a_warning(host: str, changes: Mapping[str, str], message: str) -> None:
    findings = check_settings(host, changes)
    assert [finding for finding in findings if not finding.is_error and message in finding.text]
    assert not [finding.text for finding in findings if finding.is_error]


@pytest.mark.parametrize(
    ("host", "options", "changes", "message"),
    [
        ("render", DeploymentOptions(is_paid=True), {"MAIL_URL": "smtp://u:p@smtp.lisbon.pt:587"}, "MAIL_URL uses"),
        ("fly", DeploymentOptions(has_volume=True), {"DATABASE_URL": ""}, "SQLite"),
        ("fly", DeploymentOptions(domain="circle.lisbon.pt"), {}, "BASE_URL"),
        ("linux", DeploymentOptions(), {"BASE_URL": "https://example.shop.org"}, "an example"),
    ],
)
def test_no_error_without_a_mistake(
    host: str, options: DeploymentOptions, changes: Mapping[str, str], message: str
) -> None:
    assert not [text for text in find_errors(host, changes, options) if message in text]


@pytest.mark.parametrize(
    ("host", "line", "message"),
    [
        ("heroku", "SITE_NAME='Circle'", "SITE_NAME has quotes"),
        ("heroku", "MAIL_URL=resend://re_1 # the new key", "MAIL_URL is followed by a comment"),
        ("compose", "MAIL_URL=smtp://u:pa$word@smtp.lisbon.pt", "MAIL_URL contains a $"),
        ("compose", "LLM_API_KEY='a$b'", ""),
        ("fly", "MAIL_URL=smtp://u:pa$word@smtp.lisbon.pt # the new key", ""),
    ],
)
def test_line_that_the_host_reads_differently_is_an_error(tmp_path: Path, host: str, line: str, message: str) -> None:
    path = tmp_path / "env"
    path.touch(mode=0o600)
    path.write_text(f"MAIL_FROM=Circle <circle@lisbon.pt>\n{line}\n")
    texts = [finding.text for finding in check_file(RECIPES[host], path)]
    assert len(texts) == bool(message)
    assert message in "".join(texts)


def test_site_on_a_known_host_is_checked_by_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert check_current_host not in deploy_checks()
    monkeypatch.setenv("RENDER", "true")
    assert check_current_host in deploy_checks()
    settings = settings_for(NEON).model_copy(update={"trusted_proxies": ""})
    assert any("TRUSTED_PROXIES is empty" in finding.text for finding in check_current_host(settings))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATABASE_URL": "sqlite:///./data/app.db"}, "DATABASE_URL is SQLite, which does not work on several"),
        ({"STORAGE_URL": "file:./data/uploads"}, "STORAGE_URL is a folder, and each machine would have another one"),
        ({"CACHE_URL": ""}, "Processes do not tell each other which cached pages to clear"),
    ],
)
def test_several_machines_share_everything(changes: Mapping[str, str], message: str) -> None:
    findings = check_settings("linux", changes, replace(OPTIONS, workers=2, machines=3))
    assert [finding for finding in findings if finding.text.startswith(message)]
