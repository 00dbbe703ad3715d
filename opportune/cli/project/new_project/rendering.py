"""The files that read differently in a project: its name, and what only the starter has in them."""

import json
import re
from pathlib import Path
from string import Template

from opportune import __version__
from opportune.cli.project.new_project.examples import ALWAYS, examples
from opportune.config.project import PACKAGE

SKELETON = Path(__file__).parents[2] / "skeleton/project"
FIRST_VERSION = "0.1.0"
WRITTEN = ("README.md", "AGENTS.md", "tests/test_access.py")
"""What a project has in place of the starter's."""
WITH_BLOCKS = ("pyproject.toml", ".ci/run", ".github/workflows/ci.yml")
"""Files with lines that a project does not get."""
BLOCK = re.compile(r"^[ \t]*# startproject: leave out\n.*?^[ \t]*# startproject: go on\n", re.MULTILINE | re.DOTALL)


def render_files(folder: Path, title: str, slug: str) -> None:
    """Rewrite and add these files in a project that is being made."""
    for name in WITH_BLOCKS:
        _rewrite(folder / name, BLOCK.sub("", (folder / name).read_text(encoding="utf-8")))
    _substitute(folder / "pyproject.toml", r'^name = ".*"$', f'name = "{slug}"')
    # Its own from now on, which no upgrade of the framework raises.
    _substitute(folder / "pyproject.toml", r'^version = ".*"$', f'version = "{FIRST_VERSION}"')
    _substitute(folder / "pyproject.toml", r'^description = ".*"$', f"description = {_quoted(title)}")
    _substitute(folder / PACKAGE / "settings.py", r'(site_name: str = )".*"', rf"\g<1>{_quoted(title)}")
    _substitute(folder / ".env.example", r"^# SITE_NAME=.*$", f"# SITE_NAME={title}")
    words = {"title": title, "slug": slug, "version": __version__, "features": _table(folder)}
    for name in WRITTEN:
        text = Template((SKELETON / f"{name}.tmpl").read_text(encoding="utf-8")).substitute(words)
        _rewrite(folder / name, text)


def _table(folder: Path) -> str:
    """The features that there are, each as a row."""
    lines = {**ALWAYS, **{name: f"an example: {words}" for name, words in examples().items()}}
    kept = {name: words for name, words in lines.items() if (folder / PACKAGE / name).is_dir()}
    return "".join(f"| `{PACKAGE}/{name}/` | {words} |\n" for name, words in kept.items())


def _quoted(text: str) -> str:
    """A string as Python and TOML write it."""
    return json.dumps(text, ensure_ascii=False)


def _substitute(path: Path, pattern: str, replacement: str) -> None:
    # A function, since a name may hold what a template of re would take for its own.
    text = path.read_text(encoding="utf-8")
    _rewrite(path, re.sub(pattern, lambda found: found.expand(replacement), text, count=1, flags=re.MULTILINE))


def _rewrite(path: Path, text: str) -> None:
    # The same line ends everywhere: the record of the release knows files by their bytes.
    path.write_text(text, encoding="utf-8", newline="\n")
