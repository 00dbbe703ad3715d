"""The kustomize folder, rendered by kubectl: the objects fit each other, the routes and the settings of the site."""

import base64
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.hosts import RESERVED_STOP_SECONDS
from opportune.config.settings import load_settings
from opportune.contrib.deploy.host_files import render_files, render_steps
from opportune.contrib.deploy.recipes import RECIPES
from opportune.db import Database, utc_now
from opportune.jobs.models import Job, JobState
from opportune.project.layout import PROJECT
from tests.opportune.contrib.deploy.good_values import SITE
from tests.opportune.contrib.deploy.published_formats import run_program, yaml, yaml_documents

RECIPE = RECIPES["kubernetes"]
PATH = "/usr/local/bin:/usr/bin:/bin"
ENV = ('SITE_NAME=Reading "circle", Lisbon', "DATABASE_URL=postgresql://u:p%20$a@h/d?x=1&y=*", "SECRET_KEY=a=b")
GUIDE = PROJECT / "docs/deploy/kubernetes.md"
Objects = dict[tuple[str, str], Any]


def write_project(folder: Path) -> None:
    for path, content in render_files(RECIPE, SITE).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    (folder / ".env.production").write_text("\n".join(["# Comment", "MAIL_URL=", *ENV]) + "\n")


def run_steps(folder: Path, *beginnings: str) -> None:
    lines = [line for line in render_steps(RECIPE, SITE) if line.startswith(beginnings)]
    run_program("sh", "-ec", "\n".join(lines), cwd=folder, env={"PATH": f"{folder}:{PATH}"}).check_returncode()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """The objects that `kubectl apply` would send, by kind and name."""
    if not (kubectl := shutil.which("kubectl", path=PATH)):
        pytest.skip("kubectl is missing: https://kubernetes.io/docs/tasks/tools/")
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    run_steps(folder, "(umask")
    result = run_program(kubectl, "kustomize", "deploy/kubernetes/production", cwd=folder)
    assert result.returncode == 0, result.stderr
    return {(data["kind"], data["metadata"]["name"]): data for data in yaml_documents(result.stdout)}


def pod_of(data: Any) -> Any:
    return data["spec"]["template"]["spec"]


def workloads(objects: Objects) -> list[Any]:
    return [data for (kind, _), data in objects.items() if kind in ("Deployment", "Job")]


def data_of(objects: Objects, kind: str) -> dict[str, str]:
    ((name, data),) = [(name, data["data"]) for (kind_, name), data in objects.items() if kind_ == kind]
    assert re.fullmatch(r"site-[a-z0-9]{10}", name), "a change replaces the pods"
    return dict(data)


def test_selectors_match_the_pods(objects: Objects) -> None:
    for name in ("web", "worker"):
        deployment = objects["Deployment", name]["spec"]
        labels = deployment["template"]["metadata"]["labels"]
        spread = pod_of(objects["Deployment", name])["topologySpreadConstraints"]
        selectors = [deployment, objects["PodDisruptionBudget", name]["spec"]]
        found = [selector["selector"]["matchLabels"] for selector in selectors]
        found += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
        assert all(selector.items() <= labels.items() for selector in found)
        zones = [constraint["topologyKey"] for constraint in spread]
        assert name == "worker" or zones == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    labels = objects["Deployment", "web"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service", "web"]["spec"]["selector"].items() <= labels.items()


def test_requests_and_probes_use_the_port_of_the_site(objects: Objects) -> None:
    (rule,) = objects["Ingress", "web"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    service = objects["Service", path["backend"]["service"]["name"]]["spec"]
    (port,) = [port for port in service["ports"] if port["name"] == path["backend"]["service"]["port"]["name"]]
    (container,) = pod_of(objects["Deployment", "web"])["containers"]
    assert container["ports"] == [{"name": port["targetPort"], "containerPort": RECIPE.host.port}]
    (container,) = pod_of(objects["Deployment", "web"])["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {container["ports"][0]["name"]}
    paths = {name: probe["path"] for name, probe in probes.items()}
    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}


def test_pools_of_all_pods_stay_within_the_budget(objects: Objects) -> None:
    values = {name.lower(): value for name, value in data_of(objects, "ConfigMap").items()}
    settings = load_settings(**values)
    per_process = 2 * sum(settings.pool_size) + settings.listens_to_postgresql
    assert per_process * settings.processes <= settings.database_connections < 97, "PostgreSQL's default, unreserved"


def test_secret_has_the_settings_unchanged(objects: Objects) -> None:
    secret = {name: base64.b64decode(value).decode() for name, value in data_of(objects, "Secret").items()}
    assert [f"{name}={value}" for name, value in secret.items()] == sorted(ENV)


def test_pods_read_their_settings_and_end_in_time(objects: Objects) -> None:
    values = data_of(objects, "ConfigMap")
    seconds = float(values["STOP_DELAY_SECONDS"]) + float(values["ANSWER_GRACE_SECONDS"]) + RESERVED_STOP_SECONDS
    names = {kind: name for kind, name in objects if kind in ("ConfigMap", "Secret")}
    expected = [{"configMapRef": {"name": names["ConfigMap"]}}, {"secretRef": {"name": names["Secret"]}}]
    for data in workloads(objects):
        assert pod_of(data)["containers"][0]["envFrom"] == expected
        assert pod_of(data)["terminationGracePeriodSeconds"] == seconds


def test_pods_run_without_rights(objects: Objects) -> None:
    for data in workloads(objects):
        pod = pod_of(data)
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        rights = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == rights
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert container["image"] == "registry.example.org/reading-circle:TAG"


def test_commit_is_deployed_and_never_latest(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "git").write_text("#!/bin/sh\necho 1234e10\n")  # unquoted, YAML would read a number
    (tmp_path / "git").chmod(0o755)
    path = tmp_path / "deploy/kubernetes/production/kustomization.yaml"
    for _ in range(2):
        run_steps(tmp_path, "TAG=", "sed ")
        assert yaml(path.read_text())["images"][0]["newTag"] == "1234e10"
    assert not re.search(r"(newTag: |:)latest", "".join(render_files(RECIPE, SITE).values()))


def test_copied_secrets_are_private(tmp_path: Path) -> None:
    write_project(tmp_path)
    run_steps(tmp_path, "(umask")
    copy = tmp_path / "deploy/kubernetes/production/.env.production"
    assert (copy.read_text().splitlines(), copy.stat().st_mode & 0o777) == ([*ENV], 0o600)


async def add_jobs(session: AsyncSession) -> None:
    """Add two due jobs, a later one, and one of each other state."""
    later = utc_now() + timedelta(hours=1)
    states = [JobState.WAITING, *JobState]
    session.add_all([*(Job(name="a", state=state) for state in states), Job(name="a", due_at=later)])
    await session.flush()


@pytest.mark.database("postgresql")
async def test_role_of_the_guide_counts_due_and_running_jobs(database: Database) -> None:
    _, scaler = yaml_documents(render_files(RECIPE, SITE)["deploy/kubernetes/production/scaling.yaml"])
    query = scaler["spec"]["triggers"][0]["metadata"]["query"]
    (statements,) = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    async with database.writer() as session:
        await add_jobs(session)
        for statement in (*statements.strip().split("\n"), "SET LOCAL ROLE queue_length"):
            await session.execute(text(statement))
        assert await session.scalar(text(query)) == 3
        await session.rollback()
