"""Names of a project: site, folder and distribution."""

import keyword
import re
import sys
import sysconfig
import unicodedata
from pathlib import Path

from opportune.cli.environment.locks import pins
from opportune.cli.project.shared_files import BASE_LOCK, IS_CLONE, STARTER_ROOT

MAX_NAME_LENGTH = 60
"""Maximum number of characters, limited by the space in titles, e-mails and beside the logo."""
PROJECT_MODULES = {"app", "opportune", "oppman", "tests", "migrations", "templates", "static", "test"}


def site_name(name: str) -> str:
    """Return the name for visitors: `book-shelf` becomes Book shelf. Names with capitals or spaces are unchanged."""
    name = " ".join(name.split())
    return name if name != name.lower() or " " in name else re.sub(r"[-_]+", " ", name).strip().capitalize()


def folder_name(name: str) -> str:
    """Return the name in ASCII lowercase letters, digits and `-`; empty if there are none."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-")


def name_error(name: str, slug: str) -> str:
    """Return an error message if a project cannot have this name; empty if it can."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        return f"{name[:MAX_NAME_LENGTH]!r} is not a site name. Use 1 to {MAX_NAME_LENGTH} printable characters."
    if re.match(r"[.~]*[/\\]", name):
        return f"{name!r} is a folder. Put the name of the site before it: Bookshelf {name}"
    if not slug[:1].isalpha():
        return f"{name!r} is not a project name. Start it with a letter from a to z."
    module = slug.replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module) or module in ("true", "false", "none"):
        return f"{name!r} is a keyword of Python. Choose another name, such as {slug}-site."
    is_reserved = module in sys.stdlib_module_names or module in PROJECT_MODULES
    if is_reserved or slug in _locked_names() or _is_installed(module):
        return f"{name!r} is the name of a Python module. Choose another name, such as {slug}-site."
    return ""


def _locked_names() -> set[str]:
    """Return the names of all locked packages."""
    locks = (STARTER_ROOT / BASE_LOCK, *STARTER_ROOT.glob("requirements/*.lock"))
    texts = (lock.read_text(encoding="utf-8") for lock in locks)
    return {name.lower() for text in texts for name in pins(text)}


def _is_installed(module: str) -> bool:
    """Return True if a package is installed that has a module of this name, which may differ from its own name."""
    variables = {"base": str(STARTER_ROOT / ".venv")} if IS_CLONE else {}
    packages = Path(sysconfig.get_path("purelib", "venv", variables))
    return any((packages / file).exists() for file in (module, f"{module}.py"))
