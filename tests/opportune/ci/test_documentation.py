"""The documentation as a site: its URLs, and the script that publishes a version of it."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from opportune.project.layout import PROJECT
from tests.opportune.cli.project.upgrading.files import git

URLS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
BUILD = """
mkdir -p site
echo "$SITE_URL" >site/index.html
touch site/{404.html,llms.txt,llms-full.txt}
"""
"""Instead of `.ci/run docs`."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the script that publishes, and an empty remote."""
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    folder = tmp_path / "clone"
    git(tmp_path, "init", "-q", "clone")
    (folder / ".ci").mkdir()
    (folder / ".ci/run").write_text(BUILD)
    for name in (".ci/publish-docs", "pyproject.toml"):
        (folder / name).write_bytes((PROJECT / name).read_bytes())
    git(folder, "remote", "add", "origin", f"{tmp_path}/origin.git")
    return folder


def publish(clone: Path, *arguments: str) -> dict[str, str]:
    """Publish a version, and return the texts of all published files."""
    subprocess.run(["bash", ".ci/publish-docs", *arguments], cwd=clone, check=True)
    site = clone.parent / "origin.git"
    names = git(site, "ls-tree", "-r", "--name-only", "gh-pages").splitlines()
    return {name: git(site, "show", f"gh-pages:{name}") for name in names}


def test_new_version_is_published_beside_the_others(clone: Path) -> None:
    assert "url=latest/" in publish(clone)["index.html"]
    site = publish(clone, "release")
    version, _, _ = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"].rpartition(".")
    assert site["latest/index.html"] == f"{URLS['Documentation']}latest/"
    assert site[f"{version}/index.html"] == f"{URLS['Documentation']}{version}/"
    assert [entry["version"] for entry in json.loads(site["versions.json"])] == ["latest", version]
    assert f"url={version}/" in site["index.html"]


def test_published_version_is_replaced(clone: Path) -> None:
    (clone / "site").mkdir()
    (clone / "site/removed.html").touch()
    assert "latest/removed.html" in publish(clone)
    (clone / "site/removed.html").unlink()
    assert "latest/removed.html" not in publish(clone)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/index.md", "mkdocs.yml", "opportune/cli/skeleton/project/README.md.tmpl"]
)
def test_addresses_of_the_project_are_consistent(name: str) -> None:
    owner = URLS["Repository"].split("/")[3]
    addresses = re.findall(rf"https://(?:github\.com/)?{owner}[\w./-]*", (PROJECT / name).read_text(encoding="utf-8"))
    assert set(addresses) <= {URLS["Repository"], URLS["Documentation"]}
    assert addresses


def test_navigation_lists_all_pages() -> None:
    _, _, navigation = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")
    pages = (path.relative_to(PROJECT / "docs").as_posix() for path in (PROJECT / "docs").rglob("*.md"))
    assert sorted(re.findall(r"[\w/-]+\.md", navigation)) == sorted(pages)
