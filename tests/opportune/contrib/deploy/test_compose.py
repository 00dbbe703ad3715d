"""The files of Docker Compose for one and for several machines."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from opportune.config.hosts import RESERVED_STOP_SECONDS
from opportune.contrib.deploy.host_files import render_files
from opportune.contrib.deploy.recipes import RECIPES
from opportune.web.machine_paths import HEALTH_PATHS
from tests.opportune.contrib.deploy.good_values import SITE
from tests.opportune.contrib.deploy.published_formats import run_program, yaml

RECIPE = RECIPES["compose"]
FILES = {Path(path).name: text for path, text in render_files(RECIPE, SITE).items()}
ENV = "BASE_URL=https://books.example.org\nPOSTGRES_PASSWORD=abc\nMAIN_ADDRESS=10.0.0.1\nPRIVATE_ADDRESS=10.0.0.2\n"


@pytest.fixture
def services() -> dict[str, Any]:
    return dict(yaml(FILES["compose.yaml"])["services"])


def test_release_waits_for_containers_to_start_and_end(services: dict[str, Any]) -> None:
    for name in ("web-a", "web-b"):
        command = services[name]["healthcheck"]["test"][-1]
        (path,) = re.findall(rf":{RECIPE.host.port}(/[a-z/]+)", command)
        assert path == "/health/ready"
        assert path in HEALTH_PATHS
    for name in ("web-a", "web-b", "worker", "migrate"):
        seconds = float(services[name]["environment"]["ANSWER_GRACE_SECONDS"]) + RESERVED_STOP_SECONDS
        assert services[name]["stop_grace_period"] == f"{seconds:g}s"


def test_machines_run_services_with_the_first_database(services: dict[str, Any]) -> None:
    machines = yaml(FILES["machines.yaml"])["services"]
    assert machines.keys() <= services.keys()
    for service in machines.values():
        assert service.keys() <= {"environment", "ports"}
        assert all(port.startswith("${PRIVATE_ADDRESS:?}:") for port in service.get("ports", []))
    for name in ("web-a", "web-b", "worker"):
        for variable, value in machines[name]["environment"].items():
            old = services[name]["environment"][variable]
            assert re.sub(r"(?<=[@/])(pgbouncer|postgres|redis)(?=:)", "${MAIN_ADDRESS:?}", old) == value


@pytest.mark.parametrize("files", ["compose.yaml", "compose.yaml:machines.yaml"])
def test_docker_accepts_the_files(files: str, tmp_path: Path) -> None:
    docker = ["docker", "compose"]
    try:
        subprocess.run([*docker, "version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("docker compose is missing: https://docs.docker.com/compose/install/")
    folder = tmp_path / "deploy/compose"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (tmp_path / ".env.production").write_text(ENV)
    options = [argument for name in files.split(":") for argument in ("--file", folder / name)]
    result = run_program(*docker, "--env-file", tmp_path / ".env.production", *options, "config", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
