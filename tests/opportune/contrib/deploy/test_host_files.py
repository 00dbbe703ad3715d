"""Check the generated files against published formats, and with the hosts' own programs if installed."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from opportune.contrib.backup.create import BACKUP_FOLDER
from opportune.contrib.deploy.host_files import render_files, render_steps
from opportune.contrib.deploy.recipes import RECIPES, Recipe
from opportune.contrib.deploy.site_names import SiteNames
from opportune.project.layout import PROJECT
from opportune.testing.services.missing_programs import skip_for_missing
from tests.opportune.contrib.deploy.published_formats import FORMATS, run_program, yaml_documents

SITE = SiteNames("reading-circle", 'Reading "Circle": 100 % Lisbon', "books.example.org", "lisbon/circle")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_files_have_the_published_format(recipe: Recipe) -> None:
    for path, text in render_files(recipe, SITE).items():
        if path in FORMATS:
            FORMATS[path](text)
        elif path.endswith((".yml", ".yaml", ".json")):
            assert yaml_documents(text), path


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_texts_for_the_operator_are_complete(recipe: Recipe) -> None:
    text = "\n".join(render_steps(recipe, SITE))
    assert "reading-circle" in text or recipe.host.name.startswith(("leapcell", "render", "compose"))
    assert "{{" not in text.replace("${{Postgres", "")
    assert "None" not in text


@pytest.mark.parametrize("host", ["fastapicloud", "fly", "heroku", "koyeb", "railway"])
def test_commands_copy_settings_unchanged(host: str, tmp_path: Path) -> None:
    settings = ['SITE_NAME=Reading "circle", Lisbon', "DATABASE_URL=postgresql://u:p%20$a@h/d?x=1&y=*", "PORT=80"]
    (tmp_path / ".env.production").write_text("\n".join(["# Comment", "SECRET_KEY=", *settings]) + "\n")
    (tmp_path / "PORT=8000").touch()  # an unquoted pattern would match it
    for program in ("fastapi", "fly", "heroku", "koyeb", "railway"):
        (tmp_path / program).write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"; cat\n")
        (tmp_path / program).chmod(0o755)
    lines = "\n".join(render_steps(RECIPES[host], SITE)).replace("\\\n", " ").splitlines()
    commands = [line for line in lines if ".env.production" in line]
    result = run_program("sh", "-c", *commands, cwd=tmp_path, env={"PATH": f"{tmp_path}:{PATH}"}, input="")
    assert result.returncode == 0
    arguments = result.stdout.splitlines()
    if host == "koyeb":  # reads each value as a line of CSV
        lines = [line for line in arguments if line.startswith("--env=")]
        arguments = [value for line in lines for value in next(csv.reader([line[6:]]))]
    if host == "fastapicloud":  # the name is an argument, and the value comes from stdin
        names = [index for index, argument in enumerate(arguments) if argument == "set"]
        arguments = [f"{arguments[index + 1]}={arguments[index + 5]}" for index in names]
    assert [setting for setting in settings if not {setting, f"--variables={setting}"} & {*arguments}] == []
    assert not any("Comment" in argument or "SECRET_KEY" in argument for argument in arguments)


def test_railway_creates_the_service_before_the_deploy() -> None:
    """If there is only the database, `railway up` deploys the site to its service."""
    commands = "\n".join(render_steps(RECIPES["railway"], SITE))
    service = commands.index("railway add --service=reading-circle")
    assert service < commands.index("railway domain") < commands.index("railway up")


def test_heroku_uses_a_tested_python_version() -> None:
    version = render_files(RECIPES["heroku"], SITE)[".python-version"].split()[-1]
    assert f'"{version}"' in (PROJECT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_backup_timer_uses_the_default_folder() -> None:
    unit = render_files(RECIPES["linux"], SITE)["deploy/linux/reading-circle-backup.service"]
    (folder,) = re.findall(r"oppman\.py backup (\S+) --keep", unit)
    assert PROJECT / folder == BACKUP_FOLDER


@pytest.mark.parametrize("host", ["linux", "compose"])
def test_caddy_accepts_its_files(host: str, tmp_path: Path) -> None:
    caddy = shutil.which("caddy", path=PATH) or skip_for_missing("Caddy", "apt-get install caddy")
    path = tmp_path / "Caddyfile"
    path.write_text(render_files(RECIPES[host], SITE)[f"deploy/{host}/Caddyfile"], encoding="utf-8")
    environ = {"BASE_URL": "https://books.example.org", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    result = run_program(caddy, "adapt", "--config", path, "--validate", env=environ)
    assert result.returncode == 0, result.stderr
    assert "books.example.org" in result.stdout


def test_systemd_accepts_its_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze", path=PATH) or skip_for_missing("systemd", "apt-get install systemd")
    files = render_files(RECIPES["linux"], SITE)
    units = {Path(path).name: text for path, text in files.items() if path.endswith((".service", ".timer"))}
    for name, text in units.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = run_program(analyze, "verify", "--recursive-errors=no", *(tmp_path / name for name in units))
    assert (result.returncode, result.stderr) == (0, "")
