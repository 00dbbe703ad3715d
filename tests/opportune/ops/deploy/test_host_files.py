"""The files that hosts want: by their published formats, and by the hosts' own programs where there are some."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from opportune.config.project import PROJECT
from opportune.ops.backup.create import BACKUP_FOLDER
from opportune.ops.deploy.host_files import render_files, render_lines
from opportune.ops.deploy.recipes import RECIPES, Recipe
from opportune.ops.deploy.site_names import SiteNames
from opportune.ops.deploy.traps import trap_lines
from opportune.testing.services.missing_programs import skip_for_missing
from tests.opportune.ops.deploy.published_formats import FORMATS, yaml, yaml_documents

SITE = SiteNames("reading-circle", 'Reading "Circle": 100 % Lisbon', "books.example.org", "lisbon/circle")
UNITS = (".service", ".timer")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_each_file_has_the_format_that_the_host_publishes(recipe: Recipe) -> None:
    for path, text in render_files(recipe, SITE).items():
        assert path in FORMATS or path.endswith((*UNITS, "Caddyfile")), path
        if path in FORMATS:
            FORMATS[path](text)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_each_host_has_its_next_commands_and_its_traps(recipe: Recipe) -> None:
    text = "\n".join([*render_lines("next", recipe, SITE), *trap_lines(recipe, SITE)])
    assert "reading-circle" in text or recipe.host.name.startswith(("leapcell", "render", "compose"))
    assert recipe.host.health_path in text
    assert "{{" not in text.replace("${{Postgres", "")
    assert "None" not in text


@pytest.mark.parametrize("host", ["fly", "heroku", "koyeb", "kubernetes", "railway"])
def test_the_next_commands_give_the_host_each_setting_as_it_is_written(host: str, tmp_path: Path) -> None:
    settings = ['SITE_NAME=Reading "circle", Lisbon', "DATABASE_URL=postgresql://u:p%20$a@h/d?x=1&y=*", "PORT=80"]
    (tmp_path / ".env.production").write_text("\n".join(["# Comment", "SECRET_KEY=", *settings]) + "\n")
    (tmp_path / "PORT=8000").touch()  # which a shell would write in the place of a pattern
    for program in ("fly", "heroku", "koyeb", "kubectl", "railway"):
        (tmp_path / program).write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"; cat\n")
        (tmp_path / program).chmod(0o755)
    commands = "\n".join(render_lines("next", RECIPES[host], SITE)).replace("\\\n", " ").splitlines()
    given = subprocess.run(
        ["sh", "-c", *(command for command in commands if ".env.production" in command)],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{PATH}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=60,
    ).stdout.splitlines()
    if host == "koyeb":  # which reads each value as a line of CSV
        given = [each for line in given if line.startswith("--env=") for each in next(csv.reader([line[6:]]))]
    assert [each for each in settings if not {each, f"--variables={each}"} & {*given}] == []
    assert not any("Comment" in each or "SECRET_KEY" in each for each in given)


def test_koyeb_waits_for_a_start_at_a_tenth_of_a_core() -> None:
    """Its own grace period is five seconds."""
    assert "--checks-grace-period 8000=20" in "\n".join(render_lines("next", RECIPES["koyeb"], SITE))


def test_on_railway_the_site_has_a_service_of_its_own_before_anything_is_sent_to_one() -> None:
    """With the database alone, `railway up` would ask for a service and take the site there."""
    commands = "\n".join(render_lines("next", RECIPES["railway"], SITE))
    own = commands.index("railway add --service=reading-circle")
    assert own < commands.index("railway domain") < commands.index("railway up")


def test_heroku_builds_with_a_python_that_the_tests_run_on() -> None:
    version = render_files(RECIPES["heroku"], SITE)[".python-version"].split()[-1]
    assert f'"{version}"' in (PROJECT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_the_timer_of_a_machine_backs_up_into_the_folder_that_a_backup_makes() -> None:
    unit = render_files(RECIPES["linux"], SITE)["deploy/linux/reading-circle-backup.service"]
    (folder,) = re.findall(r"oppman\.py backup (\S+) --keep", unit)
    assert PROJECT / folder == BACKUP_FOLDER


@pytest.mark.parametrize("host", ["linux", "compose"])
def test_caddy_reads_its_files(host: str, tmp_path: Path) -> None:
    caddy = shutil.which("caddy", path=PATH) or skip_for_missing("Caddy", "apt-get install caddy")
    path = tmp_path / "Caddyfile"
    path.write_text(render_files(RECIPES[host], SITE)[f"deploy/{host}/Caddyfile"], encoding="utf-8")
    environ = {"BASE_URL": "https://books.example.org", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    result = subprocess.run(
        [caddy, "adapt", "--config", path, "--validate"],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert "books.example.org" in result.stdout


def test_systemd_reads_its_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze", path=PATH) or skip_for_missing("systemd", "apt-get install systemd")
    files = render_files(RECIPES["linux"], SITE)
    units = {Path(path).name: text for path, text in files.items() if path.endswith(UNITS)}
    for name, text in units.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", *(tmp_path / name for name in units)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_kustomization_names_the_files_beside_it() -> None:
    files = render_files(RECIPES["kubernetes"], SITE)
    data = yaml(files["deploy/kubernetes/kustomization.yaml"])
    folder = {Path(path).name for path in files} - {"kustomization.yaml"}
    assert set(data["resources"]) == folder


def test_kubectl_builds_the_kustomization(tmp_path: Path) -> None:
    if not (kubectl := shutil.which("kubectl", path=PATH)):
        pytest.skip("kubectl is missing: https://kubernetes.io/docs/tasks/tools/")
    for path, text in render_files(RECIPES["kubernetes"], SITE).items():
        (tmp_path / Path(path).name).write_text(text, encoding="utf-8")
    result = subprocess.run([kubectl, "kustomize", tmp_path], check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("image: registry.example.org/reading-circle:TAG") == 3


def test_kubernetes_web_scales_and_spreads() -> None:
    files = render_files(RECIPES["kubernetes"], SITE)
    web, budget = yaml_documents(files["deploy/kubernetes/web.yaml"])
    scaler = yaml(files["deploy/kubernetes/autoscaler.yaml"])["spec"]
    assert (web["kind"], budget["kind"]) == ("Deployment", "PodDisruptionBudget")
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
    assert scaler["scaleTargetRef"]["name"] == web["metadata"]["name"]
    assert "replicas" not in web["spec"], "the autoscaler says how many"
    spread = web["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    labels = web["spec"]["template"]["metadata"]["labels"]
    for each in (budget["spec"]["selector"], *(each["labelSelector"] for each in spread)):
        assert each["matchLabels"] == labels


def test_kubernetes_deploys_the_commit_and_never_latest(tmp_path: Path) -> None:
    files = render_files(RECIPES["kubernetes"], SITE)
    assert not [path for path, text in files.items() if re.search(r"(newTag: |:)latest", text)]
    path = tmp_path / "deploy/kubernetes/kustomization.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(files["deploy/kubernetes/kustomization.yaml"])
    (tmp_path / "git").write_text("#!/bin/sh\necho 1234e10\n")  # which YAML would read as a number
    (tmp_path / "git").chmod(0o755)
    lines = render_lines("next", RECIPES["kubernetes"], SITE)
    script = "\n".join(line for line in lines if line.startswith(("TAG=", "sed ")))
    for _ in range(2):
        subprocess.run(["sh", "-ec", script], cwd=tmp_path, env={"PATH": f"{tmp_path}:{PATH}"}, check=True, timeout=60)
        assert yaml(path.read_text())["images"][0]["newTag"] == "1234e10"


def test_both_modes_of_leapcell_share_one_file() -> None:
    assert render_files(RECIPES["leapcell"], SITE) == render_files(RECIPES["leapcell-persistent"], SITE)
