"""`deploy check`: settings that a host supports, rejects or ignores."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import typer

from opportune.checks import Finding
from opportune.cli.development.check import deploy_checks
from opportune.config.hosts import HOST_VARIABLES
from opportune.contrib.deploy.check import check_current_host, check_deployment
from opportune.contrib.deploy.commands import deploy
from opportune.contrib.deploy.env_production import ENV_PRODUCTION, required_names
from opportune.contrib.deploy.recipes import RECIPES
from opportune.contrib.deploy.rules.deployment import Deployment, DeploymentOptions
from opportune.contrib.deploy.values import check_file, check_values, settings_from
from opportune.testing.commands import Oppman
from opportune.testing.plugin import settings_for
from tests.opportune.cli.project.git_program import require_git

KEY = "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"
NEON = "postgresql://site:secret@ep-name-123456.eu-central-1.aws.neon.tech/site?sslmode=require"
GOOD = {
    "SECRET_KEY": KEY,
    "ENVIRONMENT": "production",
    "DATABASE_URL": NEON,
    "BASE_URL": "https://circle.lisbon.pt",
    "STORAGE_URL": "s3://key:secret@bucket.lisbon.pt/site",
    "MAIL_URL": "resend://re_123",
    "LLM_BASE_URL": "https://llm.lisbon.pt/v1",
    "LLM_API_KEY": "key",
    "LLM_MODEL": "large",
    "POSTGRES_PASSWORD": "secret",
}
OPTIONS = DeploymentOptions(is_paid=False, has_volume=False, has_pooler=False)


def values_for(host: str, **changes: str) -> dict[str, str]:
    """Return good settings for a host with changes. An empty value removes a setting."""
    recipe = RECIPES[host]
    good = dict(GOOD) if host != "huggingface" else {**GOOD, "DATABASE_URL": NEON.replace("/site?", ":443/site?")}
    needed = {name: value for name, value in good.items() if name not in recipe.sets}
    return {name: value for name, value in {**needed, **recipe.defaults, **changes}.items() if value}


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
def test_good_settings_have_no_errors(host: str) -> None:
    assert find_errors(host) == []


@pytest.mark.parametrize("host", RECIPES)
def test_empty_required_settings_are_errors(host: str) -> None:
    empty = dict.fromkeys(required_names(RECIPES[host]), "")
    texts = " ".join(find_errors(host, empty))
    sets = RECIPES[host].sets
    assert [name for name in empty if f"{name} is" not in texts and name not in sets] == []


ERRORS: list[tuple[str, Mapping[str, str], str]] = [
    ("fly", {"SECRET_KEY": "changeme"}, "SECRET_KEY is known or shorter"),
    ("fly", {"DEBUG": "true"}, "DEBUG shows secrets"),
    ("fly", {"PORT": "eighty"}, "PORT: Write a whole number"),
    ("fly", {"ENVIRONMENT": "development"}, "ENVIRONMENT is development"),
    ("leapcell", {"ENVIRONMENT": ""}, "ENVIRONMENT is missing"),
    ("render", {"DATABASE_URL": "sqlite:///./data/app.db"}, "DATABASE_URL is SQLite, which Render deletes"),
    ("leapcell", {"DATABASE_URL": ""}, "DATABASE_URL is missing, so the site uses SQLite"),
    ("render", {"DATABASE_URL": "postgresql://postgres:[YOUR-PASSWORD]@aws-0-x.pooler.supabase.com/a"}, "placeholder"),
    (
        "render",
        {"DATABASE_URL": "postgresql://user:password@ep.neon.tech/name"},
        "still contains the example user:password",
    ),
    ("render", {"MAIL_URL": "resend://KEY"}, "MAIL_URL still contains the example KEY"),
    ("render", {"BACKUP_URL": "s3://KEY:SECRET@HOST/BUCKET/FOLDER"}, "BACKUP_URL still contains the example KEY"),
    ("render", {"ADMIN_EMAIL": "ada at home"}, "ADMIN_EMAIL is invalid"),
    ("render", {"METRICS_TOKEN": "abc"}, "import secrets; print("),
    ("render", {"DATABASE_URL": "postgresql://postgres:pw@db.abcd.supabase.co:5432/postgres"}, "only has IPv6"),
    (
        "fly",
        {"DATABASE_URL": "postgresql://u:p@postgres.railway.internal/railway"},
        "only exists in another host's network",
    ),
    ("fly", {"DATABASE_URL": "postgresql://u:p@localhost/site"}, "names localhost, which the host cannot reach"),
    ("heroku", {"DATABASE_URL": "postgresql://u:p@postgres/site"}, "names postgres, which the host cannot reach"),
    ("huggingface", {"DATABASE_URL": NEON}, "uses port 5432, but Hugging Face Spaces only allows 80, 443, 8080"),
    ("fly", {"DATABASE_URL": NEON.replace("require", "disable")}, "DATABASE_URL disables TLS"),
    ("fly", {"DATABASE_URL": "prisma+postgres://accelerate.prisma-data.net/?api_key=x"}, "Prisma's service"),
    ("fly", {"DATABASE_DIRECT_URL": "https://neon.tech"}, "DATABASE_DIRECT_URL begins with https://"),
    (
        "fly",
        {"DATABASE_URL": NEON.replace("123456.", "123456-pooler."), "DATABASE_POOLED": "false"},
        "DATABASE_POOLED=f",
    ),
    ("kubernetes", {"DATABASE_URL": "sqlite:///./data/app.db"}, "does not work on several machines"),
    ("render", {"STORAGE_URL": "file:./data/uploads"}, "STORAGE_URL is a folder, which Render deletes"),
    ("koyeb", {"STORAGE_URL": ""}, "STORAGE_URL is a folder"),
    ("render", {"STORAGE_URL": "ftp://x"}, "STORAGE_URL names neither"),
    ("render", {"STORAGE_URL": "s3://k:s@localhost:9000/site?tls=false"}, "STORAGE_URL names localhost:9000"),
    (
        "render",
        {"MAIL_URL": "smtp://u:p@smtp.lisbon.pt:587"},
        "MAIL_URL uses port 587, which Render blocks on free plans",
    ),
    ("huggingface", {"MAIL_URL": "smtp://u:p@smtp.lisbon.pt:2525"}, "MAIL_URL uses port 2525"),
    ("fly", {"MAIL_URL": "smtp://127.0.0.1:1025"}, "MAIL_URL names a server on your own machine"),
    ("fly", {"CACHE_URL": "redis://localhost:6379/0"}, "CACHE_URL names a Redis on your own machine"),
    ("fly", {"LLM_BASE_URL": "http://127.0.0.1:11434/v1"}, "LLM_BASE_URL is on your own machine"),
    ("heroku", {"BASE_URL": ""}, "BASE_URL is missing. Public address of the site, shown by heroku info"),
    ("cloudrun", {"BASE_URL": ""}, "https://NAME-NUMBER.REGION.run.app"),
    ("fly", {"BASE_URL": "http://localhost:8000"}, "BASE_URL is http://localhost:8000, your own machine"),
    ("fly", {"BASE_URL": "http://circle.lisbon.pt"}, "BASE_URL begins with http://"),
    ("linux", {"BASE_URL": "https://example.org"}, "an example"),
    ("compose", {"POSTGRES_PASSWORD": "a/b@c"}, "use only letters and digits"),
    ("compose", {"BASE_URL": "https://circle.lisbon.pt/"}, "Caddy would only serve the start page"),
    ("fly", {"ALLOWED_HOSTS": "lisbon.pt"}, "ALLOWED_HOSTS lacks circle.lisbon.pt"),
    ("koyeb", {"TRUSTED_PROXIES": ""}, "set TRUSTED_PROXIES=*"),
    ("fly", {"CLIENT_ADDRESS_HEADER": "X-Real-IP"}, "remove it, Fly-Client-IP is the default"),
    ("fly", {"HOST": "127.0.0.1"}, "where Fly.io cannot reach the site"),
    ("linux", {"HOST": "", "TRUSTED_PROXIES": "*"}, "set HOST=127.0.0.1"),
    ("koyeb", {"PORT": "9000"}, "PORT is 9000"),
    ("fly", {"LOCAL_HTTPS": "true"}, "LOCAL_HTTPS"),
    ("cloudrun", {"JOBS": "inline"}, "on Google Cloud Run nothing runs between requests"),
    ("fly", {"STOP_DELAY_SECONDS": "40"}, "STOP_DELAY_SECONDS is 40, but Fly.io kills the site after 30 s"),
    ("fly", {"STOP_DELAY_SECONDS": "9"}, "28 plus 9 of STOP_DELAY_SECONDS"),
    ("cloudrun", {"ANSWER_GRACE_SECONDS": "20"}, "Google Cloud Run kills the site after 10 s: set at most 8"),
    ("leapcell", {"LLM_MODELS": "x" * 3000}, "LLM_MODELS"),
    ("leapcell", {"SECRET_KEY_FALLBACKS": KEY * 100}, "The longest is SECRET_KEY_FALLBACKS"),
]


@pytest.mark.parametrize(("host", "changes", "message"), ERRORS)
def test_bad_setting_is_an_error(host: str, changes: Mapping[str, str], message: str) -> None:
    assert [text for text in find_errors(host, changes) if message in text]


WARNINGS: list[tuple[str, Mapping[str, str], str]] = [
    ("fly", {"DATABSE_POOL_SIZE": "3"}, "Did you mean DATABASE_POOL_SIZE?"),
    ("fly", {"DATABASE_URL": NEON.replace("123456.", "123456-pooler.")}, "set DATABASE_DIRECT_URL to the same URL"),
    ("fly", {"DATABASE_POOL_SIZE": "50"}, "may open 110 connections, but the smallest database of Neon allows 97"),
    (
        "kubernetes",
        {"DATABASE_URL": "postgresql://site:secret@db-do-user-1-0.x.db.ondigitalocean.com:25060/site?sslmode=require"},
        "allows 22: use its pooler, or set DATABASE_CONNECTIONS=22 and PROCESSES=7",
    ),
    (
        "kubernetes",
        {"DATABASE_URL": NEON, "DATABASE_CONNECTIONS": "120"},
        "may open 120 connections, but the smallest database of Neon allows 97: set DATABASE_CONNECTIONS=97",
    ),
    ("heroku", {"CLIENT_ADDRESS_HEADER": "X-Real-IP"}, "clients may be able to forge"),
    ("fly", {"JOBS": "off"}, "no jobs run"),
    ("fly", {"JOBS": "worker"}, "run oppman.py worker"),
    ("render", {"MAIL_URL": ""}, "MAIL_URL is console"),
    ("render", {"LLM_BASE_URL": "", "LLM_API_KEY": "", "LLM_MODEL": ""}, "No language model is configured"),
    ("kubernetes", {"CACHE_URL": "", "BUS": "memory"}, "do not tell each other"),
    ("leapcell", {"LLM_TIMEOUT": "1000"}, "ends each response after 900"),
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
        ("huggingface", DeploymentOptions(may_lose_data=True), {"DATABASE_URL": "", "STORAGE_URL": ""}, "SQLite"),
        ("fly", DeploymentOptions(domain="circle.lisbon.pt"), {}, "BASE_URL"),
    ],
)
def test_option_removes_an_error(
    host: str, options: DeploymentOptions, changes: Mapping[str, str], message: str
) -> None:
    assert not [text for text in find_errors(host, changes, options) if message in text]


def test_options_add_findings() -> None:
    options = DeploymentOptions(domain="other.lisbon.pt", workers=9, has_pooler=True)
    texts = [finding.text for finding in check_settings("fly", {}, options)]
    assert any("set BASE_URL=https://other.lisbon.pt" in text for text in texts)
    assert any("9 workers need about 1170 MB" in text for text in texts)
    assert any("set DATABASE_DIRECT_URL" in text for text in texts)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folder in place of the project."""
    monkeypatch.setattr(deploy, "PROJECT", tmp_path)
    for name in ("SECRET_KEY", "DATABASE_URL", "ENVIRONMENT", *HOST_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


WriteEnv = Callable[[str], None]


@pytest.fixture
def write_env(project: Path) -> WriteEnv:
    def write(host: str) -> None:
        lines = [f"{name}={value}\n" for name, value in values_for(host).items()]
        (project / ENV_PRODUCTION).touch(mode=0o600)
        (project / ENV_PRODUCTION).write_text("".join(lines))

    return write


def test_environment_wins_over_the_file(project: Path, oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("render")
    code, out, err = oppman("deploy", "check", "render", "--free")
    assert (code, err) == (0, "")
    assert out.endswith("No errors found.\n")
    code, out, err = oppman("deploy", "check", "render", "--free", MAIL_URL="smtp://u:p@smtp.lisbon.pt:587")
    assert (code, err) == (1, "Fix this error.\n")
    assert "error: MAIL_URL uses port 587" in out
    assert KEY not in out


def test_env_file_option_and_json_report(project: Path, oppman: Oppman) -> None:
    other = project / "other.env"
    other.write_text(f"SECRET_KEY='{KEY}'\n")
    code, out, _ = oppman("deploy", "check", "koyeb", "--env-file", str(other), "--json")
    data = json.loads(out)
    assert (code, data["host"], data["ok"]) == (1, "koyeb", False)
    assert any("has quotes" in finding["text"] for finding in data["findings"])


def test_invalid_setting_is_reported_once(oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("linux")
    options = {"BACKUP_URL": "file:/mnt/backups", "BACKUP_KEEP": "some", "CACHE_URL": "tea", "STORAGE_URL": "attic"}
    code, out, _ = oppman("deploy", "check", "linux", "--yes", **options)
    assert code == 1
    assert out.count("error: ") == 3
    for message in ("BACKUP_KEEP is 'some'", "CACHE_URL must be memory:, database: or", "STORAGE_URL names neither"):
        assert out.count(message) == 1


@pytest.fixture
def render_without_base_url(project: Path, write_env: WriteEnv) -> None:
    write_env("render")
    path = project / ENV_PRODUCTION
    path.write_text(path.read_text().replace("BASE_URL=https://circle.lisbon.pt\n", ""))


def test_open_question_without_terminal_is_a_usage_error(oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("render")
    code, _, err = oppman("deploy", "check", "render")
    assert (code, err.count("\n")) == (2, 1)
    assert "--paid or --free" in err
    assert oppman("deploy", "check", "render", "--yes").code == 0
    assert oppman("deploy", "check", "render", "--no-input").code == 0


@pytest.mark.usefixtures("render_without_base_url")
def test_all_open_questions_are_reported_in_one_run(oppman: Oppman) -> None:
    database = {"DATABASE_URL": "postgresql://site:hidden@db.lisbon.pt/site"}
    code, _, err = oppman("deploy", "check", "render", **database)
    assert (code, err.count("\n")) == (2, 1)
    for option in ("--paid or --free", "--pooler or --no-pooler", "--domain example.org", "--yes"):
        assert option in err


def test_railway_allows_mail_servers_only_on_the_plan_pro(oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("railway")
    mail = {"MAIL_URL": "smtp://u:p@smtp.lisbon.pt:587"}
    result = oppman("deploy", "check", "railway", **mail)
    assert result.code == 2
    assert "Is it the plan Pro or a larger one? Add --paid or --free" in result.err
    code, out, _ = oppman("deploy", "check", "railway", "--free", **mail)
    assert code == 1
    assert "MAIL_URL uses port 587, which Railway blocks on plans below Pro" in out
    assert "MAIL_URL" not in oppman("deploy", "check", "railway", "--paid", **mail).out


@pytest.mark.usefixtures("render_without_base_url")
def test_terminal_prompts_for_open_questions(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []

    def reply(question: str, **_options: object) -> object:
        questions.append(question)
        return "books.lisbon.pt" if "domain" in question else True

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for name in ("confirm", "prompt"):
        monkeypatch.setattr(typer, name, reply)
    code, out, _ = oppman("deploy", "check", "render", MAIL_URL="smtp://u:p@smtp.lisbon.pt:587")
    assert code == 1
    assert questions == ["Is it a paid plan?", "Does the site have its own domain? Enter its name, or nothing:"]
    assert "set BASE_URL=https://books.lisbon.pt" in out
    assert "MAIL_URL" not in out


def test_a_setting_missing_from_service_yaml_is_a_warning(project: Path, oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("cloudrun")
    assert oppman("deploy", "init", "cloudrun").code == 0
    code, out, _ = oppman("deploy", "check", "cloudrun", "--yes", STORAGE_URL="s3://key:secret@bucket.lisbon.pt/site")
    assert code == 0
    assert re.search(r"warning: deploy/cloudrun/service.yaml does not pass [^:]*MAIL_URL[^:]* to the site", out)
    assert "warning: STORAGE_URL is database: in deploy/cloudrun/service.yaml, which takes precedence" in out
    assert not any(f"{name}, " in out or f"{name} to" in out for name in ("SECRET_KEY", " BASE_URL", "JOBS"))
    path = project / "deploy/cloudrun/service.yaml"
    entry = "            - name: {}\n              valueFrom:\n                secretKeyRef:\n"
    path.write_text(path.read_text() + entry.format("MAIL_URL"))
    assert "MAIL_URL" not in oppman("deploy", "check", "cloudrun", "--yes").out


@pytest.mark.parametrize("host", ["linux", "kubernetes"])
def test_proxy_file_for_another_domain_is_an_error(oppman: Oppman, write_env: WriteEnv, host: str) -> None:
    write_env(host)
    assert oppman("deploy", "init", host).code == 0
    code, out, _ = oppman("deploy", "check", host, "--yes")
    assert code == 1
    assert f"does not contain circle.lisbon.pt, the host of BASE_URL. Run: python3 oppman.py deploy init {host}" in out
    assert oppman("deploy", "init", host, "--domain", "circle.lisbon.pt").code == 0
    assert oppman("deploy", "check", host, "--yes").code == 0


def test_pods_that_are_not_counted_are_an_error(project: Path, oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("kubernetes")
    assert oppman("deploy", "init", "kubernetes", "--domain", "circle.lisbon.pt").code == 0
    path = project / "deploy/kubernetes/production/scaling.yaml"
    path.write_text(path.read_text().replace("maxReplicas: 6", "maxReplicas: 16"))
    code, out, _ = oppman("deploy", "check", "kubernetes", "--yes")
    assert code == 1
    assert "scaling.yaml allows 22 pods during a release, but PROCESSES is 12" in out
    assert "set PROCESSES=22 in deploy/kubernetes/production/kustomization.yaml" in out


def test_missing_file_is_one_line(project: Path, oppman: Oppman) -> None:
    code, _, err = oppman("deploy", "check", "fly", "--env-file", str(project / "nothing"), "--yes")
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be read" in err


def test_unreadable_line_is_named(project: Path, oppman: Oppman) -> None:
    broken = project / "broken.env"
    broken.write_text("SECRET_KEY=x\nDATABASE_URL='postgresql://\n")
    code, _, err = oppman("deploy", "check", "fly", "--env-file", str(broken), "--yes")
    assert (code, err.count("\n")) == (1, 1)
    assert "broken.env: line 2 has a quote that does not end its value" in err


def test_quotes_and_comments_are_errors_if_lines_are_copied(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.touch(mode=0o600)
    path.write_text("SITE_NAME='Circle'\nMAIL_FROM=Circle <circle@lisbon.pt>\nMAIL_URL=resend://re_1 # the new key\n")
    assert [*check_file(RECIPES["fly"], path)] == []
    quotes, comment = check_file(RECIPES["heroku"], path)
    assert "SITE_NAME has quotes" in quotes.text
    assert "MAIL_URL is followed by a comment" in comment.text


def test_dollar_is_an_error_if_it_begins_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.touch(mode=0o600)
    path.write_text("LLM_API_KEY='a$b'\nMAIL_URL=smtp://u:pa$word@smtp.lisbon.pt\n")
    assert [*check_file(RECIPES["fly"], path)] == []
    (dollar,) = check_file(RECIPES["compose"], path)
    assert "MAIL_URL contains a $" in dollar.text


@pytest.mark.skipif(sys.platform == "win32", reason="no file modes on Windows")
def test_exposed_secrets_are_errors(project: Path, oppman: Oppman, write_env: WriteEnv) -> None:
    require_git()
    write_env("linux")
    (project / ENV_PRODUCTION).chmod(0o644)
    for command in (["init", "-q"], ["add", ENV_PRODUCTION]):
        subprocess.run(["git", *command], cwd=project, check=True, timeout=60)
    code, out, _ = oppman("deploy", "check", "linux", "--yes")
    assert code == 1
    assert "error: Other users of this machine can read the secrets in .env.production" in out
    assert "error: .env.production is in git" in out


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
        (
            {"DATABASE_URL": "sqlite:///./data/app.db"},
            "DATABASE_URL is SQLite, which does not work on several machines.",
        ),
        ({"STORAGE_URL": "file:./data/uploads"}, "STORAGE_URL is a folder, and each machine would have another one"),
        ({"BACKUP_URL": "file:./backups"}, "BACKUP_URL is a folder, so each backup is on the machine that made it"),
        ({"CACHE_URL": ""}, "Processes do not tell each other which cached pages to clear"),
        ({}, "6 processes may open 120 connections"),
    ],
)
def test_several_machines_share_everything(changes: Mapping[str, str], message: str) -> None:
    findings = check_settings("linux", changes, replace(OPTIONS, workers=2, machines=3))
    assert [finding for finding in findings if finding.text.startswith(message)]
