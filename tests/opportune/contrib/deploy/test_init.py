"""`deploy init`: the host's files and `.env.production`."""

import stat
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from opportune.config.validated_settings import is_weak
from opportune.contrib.deploy.commands import init
from opportune.contrib.deploy.env_production import required_names
from opportune.contrib.deploy.host_files import RECORD
from opportune.contrib.deploy.recipes import RECIPES
from opportune.project import atomic_files
from opportune.testing.commands import Oppman


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with the files of a new project."""
    monkeypatch.setattr(init, "PROJECT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "reading-circle"\n')
    (tmp_path / "README.md").write_text("# Reading circle\n")
    return tmp_path


@pytest.mark.parametrize("host", RECIPES)
def test_files_and_settings_are_written(project: Path, oppman: Oppman, host: str) -> None:
    recipe, path = RECIPES[host], project / ".env.production"
    code, out, err = oppman("deploy", "init", host, SITE_NAME="Reading circle")
    assert code == 0, err
    assert "Next steps" in out
    needed = [name for name in ("SECRET_KEY", "POSTGRES_PASSWORD") if name in required_names(recipe)]
    assert f"Wrote .env.production{', with a new ' if needed else ''}{' and '.join(needed)}\n" in out
    assert "reading-circle" in "".join(path.read_text() for path in project.rglob("*") if path.is_file())
    settings = dotenv_values(path)
    assert {**recipe.sets, **settings}["TRUSTED_PROXIES"]
    assert ("SECRET_KEY" in settings) is ("SECRET_KEY" not in recipe.sets)
    assert [name for name in needed if is_weak(settings[name] or "")] == []
    assert ".env.production\n" in (project / ".gitignore").read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_are_generated_once_for_each_file(project: Path, oppman: Oppman) -> None:
    path = project / ".env.production"
    path.write_text("SECRET_KEY=first\n", encoding="utf-8-sig")
    oppman("deploy", "init", "compose")
    initial_values = dotenv_values(path)
    assert initial_values["SECRET_KEY"] == "first"
    (project / ".git").mkdir()
    assert oppman("deploy", "init", "compose", PATH="").code == 0, "git is optional"
    assert dotenv_values(path) == initial_values
    path.unlink()
    assert oppman("deploy", "init", "compose").code == 0
    new_values = dotenv_values(path)
    assert all(new_values[name] != initial_values[name] for name in ("SECRET_KEY", "POSTGRES_PASSWORD"))


def test_lines_without_a_value_are_filled_for_the_next_host(project: Path, oppman: Oppman) -> None:
    oppman("deploy", "init", "fly")
    assert "Added BASE_URL, " in oppman("deploy", "init", "linux", "--domain", "shop.at").out
    assert dotenv_values(project / ".env.production")["BASE_URL"] == "https://shop.at"


def test_edited_file_is_only_overwritten_with_force(project: Path, oppman: Oppman) -> None:
    oppman("deploy", "init", "fly")
    path = project / "fly.toml"
    path.write_text(path.read_text().replace('"fra"', '"ams"'))
    code, out, err = oppman("deploy", "init", "fly")
    assert (code, err.count("\n")) == (1, 1)
    assert "because they were edited: fly.toml" in err
    assert '-primary_region = "ams"' in out
    assert '+primary_region = "fra"' in out
    assert '"ams"' in path.read_text()
    code, out, _ = oppman("deploy", "init", "fly", "--force")
    assert (code, '"fra"' in path.read_text()) == (0, True)
    path.write_text("")
    assert oppman("deploy", "init", "fly").code == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_readme_keeps_its_text_below_the_front_matter(project: Path, oppman: Oppman, end: str) -> None:
    (project / "README.md").write_text("# Reading circle\n", newline=end)
    for name in ("One", "Two"):
        assert oppman("deploy", "init", "huggingface", SITE_NAME=name).code == 0
        text = (project / "README.md").read_bytes().decode()
        assert text.startswith(f'---{end}title: "{name}"{end}')
        assert text.endswith(f"---{end}# Reading circle{end}")


def test_interruption_leaves_no_partial_file(project: Path, oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic_files, "replace_file", interrupt)
    assert oppman("deploy", "init", "fly").code == 130
    assert sorted(path.name for path in project.iterdir()) == ["README.md", "pyproject.toml"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("flyio", 2, "There is no host 'flyio'. Did you mean fly? Choose from fly, render, "),
        ("linux --domain nowhere", 1, "'nowhere' is not a domain"),
    ],
)
def test_invalid_argument_is_one_line(project: Path, oppman: Oppman, arguments: str, code: int, message: str) -> None:
    assert message in oppman("deploy", "init", *arguments.split()).line(code)
    assert not (project / RECORD).exists()
