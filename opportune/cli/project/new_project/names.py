"""What a project is called: its site for visitors, its folder and its distribution for programs."""

import keyword
import re
import sys
import sysconfig
import unicodedata
from pathlib import Path

from opportune.config.project import PROJECT

MAX_NAME_LENGTH = 60
"""Letters: in titles, in mail and beside the logo there is no room for more."""
OWN_MODULES = {"app", "opportune", "oppman", "tests", "migrations", "templates", "static", "test"}


def site_name(name: str) -> str:
    """What visitors read: `book-shelf` is Book shelf, and what has a capital or a space stays as it is."""
    name = " ".join(name.split())
    return name if name != name.lower() or " " in name else re.sub(r"[-_]+", " ", name).strip().capitalize()


def folder_name(name: str) -> str:
    """The same in small letters of ASCII, digits and `-`; empty if there are none."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-")


def name_error(name: str, slug: str) -> str:
    """Why there cannot be a project of that name; empty if there can."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        return f"{name[:MAX_NAME_LENGTH]!r} is no site's name: 1 to {MAX_NAME_LENGTH} letters that can be read."
    if re.match(r"[.~]*[/\\]", name):
        return f"{name!r} is a folder: before it comes the site's name, as in: startproject Bookshelf {name}"
    if not slug[:1].isalpha():
        return f"{name!r} is no project's name: it begins with a letter from a to z."
    module = slug.replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module) or module in ("true", "false", "none"):
        return f"{name!r} is a word of Python's own. Choose another name, such as {slug}-site."
    if module in sys.stdlib_module_names or module in OWN_MODULES or slug in _locked() or _is_installed(module):
        return f"{name!r} is the name of a Python module that is in use. Choose another name, such as {slug}-site."
    return ""


def _locked() -> set[str]:
    """The packages that the locks name."""
    texts = (lock.read_text(encoding="utf-8") for lock in PROJECT.glob("requirements*.lock"))
    return {name.lower() for text in texts for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def _is_installed(module: str) -> bool:
    """Whether `.venv` has it, if there is one: a module need not be called like its package."""
    place = Path(sysconfig.get_path("purelib", "venv", {"base": str(PROJECT / ".venv")}))
    return any((place / file).exists() for file in (module, f"{module}.py"))
