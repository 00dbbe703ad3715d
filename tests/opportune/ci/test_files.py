"""Files for CI, Docker, Git and editors, checked against their published formats."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

from opportune import __version__
from opportune.cli.development.startup import validate_configuration
from opportune.project.layout import PROJECT
from opportune.testing.plugin import settings_for

SCHEMAS = {
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/workflows/docs.yml": "vendor.github-workflows",
    ".github/workflows/locks.yml": "vendor.github-workflows",
    ".github/workflows/release.yml": "vendor.github-workflows",
    ".github/dependabot.yml": "vendor.dependabot",
    "compose.yaml": "vendor.compose-spec",
    ".devcontainer/compose.yaml": "vendor.compose-spec",
}
SCRIPT = PROJECT / ".ci/run"


def read(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((PROJECT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_file_matches_its_schema(name: str, schema: str) -> None:
    # Slow imports, needed by few test processes.
    from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    rules = get_builtin_schema(schema)
    assert [error.message for error in validator_for(rules)(rules).iter_errors(read(name))] == []


def test_pre_commit_runs_locked_linters() -> None:
    from pre_commit.clientlib import load_config  # type: ignore[import-untyped] # slow

    config = load_config(str(PROJECT / ".pre-commit-config.yaml"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    dev = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["dev"]
    programs = {"python", "lint-imports", *(re.split(r"[^\w-]", requirement)[0] for requirement in dev)}
    assert {Path(hook["entry"].split()[0]).name for hook in hooks} <= programs


def test_all_supported_python_versions_are_tested() -> None:
    lowest = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    tested = read(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={tested[0]}" == lowest
    assert tested == [f"3.{minor}" for minor in range(11, 15)]


def test_newest_releases_must_pass_on_both_ends() -> None:
    jobs = read(".github/workflows/locks.yml")["jobs"]
    tested = read(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == [tested[0], tested[-1]]
    assert jobs["propose"]["needs"] == "test"
    assert {"test", "upgrade"} < {*jobs["report"]["needs"]}
    assert jobs["report"]["if"] == "failure()"
    assert not any("continue-on-error" in job for job in jobs.values())


def parts() -> set[str]:
    return set(re.findall(r"^(\w+)\(\) {$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "workflows" in name])
def test_workflows_run_valid_commands(name: str) -> None:
    steps = [step["run"] for job in read(name)["jobs"].values() for step in job.get("steps", ()) if "run" in step]
    for step in steps:
        subprocess.run(["bash", "-n"], input=step, text=True, check=True)
        assert set(re.sub(r".*\.ci/run", "", step).split()) <= parts() or ".ci/run" not in step
    assert any(".ci/" in step for step in steps)


def test_only_the_upload_has_an_identity() -> None:
    jobs = read(".github/workflows/release.yml")["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert not any("run" in step for step in jobs["publish"]["steps"])  # code of the tests could take the identity
    assert "attestations" not in jobs["publish"]["steps"][-1].get("with", {})  # on by default


def test_release_needs_a_changelog_section(tmp_path: Path) -> None:
    for name in (".ci/release", "pyproject.toml", "opportune/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text("## Unreleased\n")
    result = subprocess.run(["bash", tmp_path / ".ci/release"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, f'CHANGELOG.md has no section "## {__version__} - DATE".\n')


def test_compose_services_match_the_settings() -> None:
    services = read("compose.yaml")["services"]
    workspace = read(".devcontainer/compose.yaml")["services"]["workspace"]
    assert set(workspace["depends_on"]) == set(services)
    ports = {port.rsplit(":", 1)[0] for service in services.values() for port in service["ports"]}
    text = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^#   (\w+)=(\S+)", text, re.MULTILINE))
    assert documented.keys() == workspace["environment"].keys()
    for name, url in documented.items():
        assert re.search(r"127\.0\.0\.1:\d+", url)[0] in ports, name  # type: ignore[index]
        assert re.search(r"[/@](\w+):\d+", workspace["environment"][name])[1] in services, name  # type: ignore[index]
    for urls in (documented, workspace["environment"]):
        values = {name.lower(): SecretStr(url) for name, url in urls.items()}
        validate_configuration(settings_for("sqlite:///unused.db").model_copy(update=values))


def test_devcontainer_files_exist() -> None:
    folder = PROJECT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    assert all((folder / file).is_file() for file in container["dockerComposeFile"])
    workspace = read(".devcontainer/compose.yaml")["services"][container["service"]]
    assert workspace["volumes"] == [f"..:{container['workspaceFolder']}:cached"]


SERVERS = ("caddy", "systemd-analyze", "pgbouncer", "redis-server")


@pytest.mark.parametrize(
    ("programs", "output"),
    [
        (("sqlite3", "google-chrome"), ""),
        ((), "Missing programs, which need root to install: sqlite3 chromium-headless-shell\n"),
    ],
)
def test_script_needs_root_only_for_missing_programs(tmp_path: Path, programs: tuple[str, ...], output: str) -> None:
    """Run `.ci/run services` as a user without root rights, on a machine with these programs."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    scripts = {"id": "echo 1000", "sudo": "exit 1", "apt-get": "echo installs", **dict.fromkeys(SERVERS + programs, "")}
    for name, code in scripts.items():
        (tmp_path / name).write_text(f"#!{shutil.which('bash')}\n{code}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    command = ["bash", str(SCRIPT), "services"]
    result = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == output


@pytest.mark.parametrize("part", ["tests", "browser"])
@pytest.mark.parametrize(("first", "second", "code"), [(0, 0, 0), (5, 0, 0), (1, 0, 1), (1, 1, 1)])
def test_flaky_tests_are_reported_and_fail(part: str, first: int, second: int, code: int, tmp_path: Path) -> None:
    program = tmp_path / "python3"
    program.write_text(f"""#!/bin/sh\ncase "$*" in *--last-failed*) exit {second};; *) exit {first};; esac\n""")
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(["bash", SCRIPT, part], env=environ, capture_output=True, text=True, check=False)
    assert (result.returncode, "Flaky tests" in result.stdout) == (code, first == 1 and second == 0)


def test_script_runs_the_named_parts(tmp_path: Path) -> None:
    script = tmp_path / ".ci/run"
    script.parent.mkdir()
    echoing_parts = re.sub(r"^(\w+)\(\) {$", r"\g<0>\n  echo \g<1>; return", SCRIPT.read_text(), flags=re.MULTILINE)
    script.write_text(echoing_parts, encoding="utf-8")

    def run(*names: str) -> list[str]:
        return subprocess.run(["bash", script, *names], capture_output=True, text=True, check=True).stdout.split()

    assert run("lint", "audit") == ["lint", "audit"]
    checks = run()
    assert checks[:2] == ["services", "packages"]
    assert sorted(checks[2:5]) == ["collect", "docs", "lint"]  # in parallel
    assert checks[5:10] == ["tests", "browser", "machines", "rehearsals", "benchmarks"]
    assert sorted(checks[10:]) == ["clients", "image", "setups"]  # in parallel


def test_actions_are_pinned_by_commit() -> None:
    texts = [path.read_text() for path in PROJECT.glob(".github/workflows/*.yml")]
    steps = [step for text in texts for step in re.findall(r"uses: (?!\./)(.*)", text)]
    assert steps
    assert [step for step in steps if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v[\d.]+", step)] == []
