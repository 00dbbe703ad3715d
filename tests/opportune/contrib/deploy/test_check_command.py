"""The command `deploy check`: its options, questions, and files of the project."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opportune.config.hosts import HOST_VARIABLES
from opportune.contrib.deploy.commands import check, init
from opportune.contrib.deploy.env_production import ENV_PRODUCTION
from opportune.testing.commands import Oppman
from tests.opportune.cli.project.git_program import require_git
from tests.opportune.contrib.deploy.good_values import KEY, values_for

WriteEnv = Callable[[str], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folder in place of the project."""
    for module in (check, init):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    for name in ("SECRET_KEY", "DATABASE_URL", "ENVIRONMENT", *HOST_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


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


def test_invalid_setting_is_reported_once(oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("linux")
    options = {"BACKUP_URL": "file:/mnt/backups", "BACKUP_KEEP": "some", "CACHE_URL": "tea", "STORAGE_URL": "attic"}
    code, out, _ = oppman("deploy", "check", "linux", "--yes", **options)
    assert code == 1
    assert out.count("error: ") == 3
    for message in ("BACKUP_KEEP is 'some'", "CACHE_URL must be memory:, database: or", "STORAGE_URL names neither"):
        assert out.count(message) == 1


def test_all_open_questions_are_reported_in_one_run(project: Path, oppman: Oppman, write_env: WriteEnv) -> None:
    write_env("render")
    path = project / ENV_PRODUCTION
    path.write_text(path.read_text().replace("BASE_URL=https://circle.lisbon.pt\n", ""))
    database = {"DATABASE_URL": "postgresql://site:hidden@db.lisbon.pt/site"}
    err = oppman("deploy", "check", "render", **database).line(2)
    for option in ("--paid or --free", "--pooler or --no-pooler", "--domain example.org", "--yes"):
        assert option in err


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


def test_unreadable_file_is_one_line(project: Path, oppman: Oppman) -> None:
    path = project / "settings.env"
    path.write_text("SECRET_KEY=x\nDATABASE_URL='postgresql://\n")
    line = oppman("deploy", "check", "fly", "--env-file", str(path), "--yes").line()
    assert "settings.env: line 2 has a quote that does not end its value" in line


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
