"""Make the environment of an image smaller: `python -m opportune.ops.deploy.slim /environment` (see Dockerfile).

Removes unused icons, formats of languages without a catalogue, debug symbols, and tests and C sources of libraries.
Compiles the modules that the site imports without docstrings. Writes a CycloneDX list of the installed packages to
`/environment/sbom.cdx.json`.
"""

import ast
import importlib
import json
import marshal
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from operator import itemgetter
from pathlib import Path
from typing import Any

from opportune.application import create_app
from opportune.config.feature_packages import feature_packages
from opportune.config.languages import SOURCE_LANGUAGE
from opportune.config.project import FRAMEWORK, PACKAGE, PROJECT
from opportune.i18n.catalogues import CATALOGUE, locale_folders
from opportune.web.rendering import icons, typeface

SOURCE_SUFFIXES = (".c", ".h", ".pyx", ".pxd", ".pyi", ".a")
IMPORTED_BY_NAME = (
    "pygments.lexers.python",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
"""Modules that the first page needs, without an import statement in the framework."""
SBOM = "sbom.cdx.json"
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""Flags of bytecode that is not compared with its source (PEP 552)."""


def slim(environment: Path) -> str:
    """Make the environment smaller and return a summary."""
    if environment.resolve() != Path(sys.prefix).resolve() or sys.prefix == sys.base_prefix:
        sys.exit(f"{environment} is not the environment of this Python: run its own bin/python -m {__spec__.name}.")
    before = _megabytes(environment)
    packages = environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    app = create_app()  # registers the icons that features declare
    delete_unused_icons(icons.used_names())
    delete_unused_locales(packages, {*app.state.settings.languages, app.state.settings.language})
    typeface.cut()
    modules = import_all()
    delete_unused_files(packages)
    strip_symbols(packages)
    compile_only(packages, modules)
    bill = bill_of_materials(distributions(path=[str(packages)]))
    (environment / SBOM).write_text(json.dumps(bill, indent=1), encoding="utf-8")
    return f"{environment}: {before} MB before, {_megabytes(environment)} MB now, bytecode included."


def import_all() -> list[Path]:
    """Run all imports of the site's code, including deferred ones, and return the files of the imported modules."""
    for name in sorted({*imported_names(), *IMPORTED_BY_NAME}):
        with suppress(Exception):  # a name that is no module, or a library for development
            importlib.import_module(name)
    return [Path(file) for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))]


def imported_names() -> Iterator[str]:
    for folder in (FRAMEWORK, PROJECT / PACKAGE, *map(Path, feature_packages().values())):
        for path in folder.rglob("*.py"):
            module = path.relative_to(folder.parent).with_suffix("").parts
            if "testing" in module or module[-1] == "__main__":
                continue
            yield ".".join(module).removesuffix(".__init__")
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


def delete_unused_icons(used: frozenset[str]) -> None:
    for path in icons.svg_folder().rglob("*.svg"):
        name = path.stem + (icons.FILLED_SUFFIX if path.parent.name == "filled" else "")
        if name not in used:
            path.unlink()


def delete_unused_locales(packages: Path, languages: Iterable[str]) -> None:
    """Remove Babel's formats of languages that are neither listed nor have a catalogue."""
    translated = (path.parents[1].name for folder in locale_folders() for path in folder.glob(f"*/{CATALOGUE}.*o"))
    kept = {re.split("[-_]", code)[0] for code in ("root", SOURCE_LANGUAGE, *languages, *translated)}
    for path in (packages / "babel" / "locale-data").glob("*.dat"):
        if path.stem.partition("_")[0] not in kept:
            path.unlink()


def delete_unused_files(packages: Path) -> None:
    shutil.rmtree(packages / "fontTools", ignore_errors=True)  # has cut the typeface
    for folder in packages.glob("*/tests/"):
        shutil.rmtree(folder)
    for path in packages.rglob("*.*"):
        if path.suffix in SOURCE_SUFFIXES:
            path.unlink()


def strip_symbols(packages: Path) -> None:
    """Remove debug symbols, if the system has `strip`."""
    if program := shutil.which("strip"):
        for path in [path for path in packages.rglob("*.so*") if path.is_file()]:
            # Replace the file instead of changing it: this process has some of them loaded and would crash.
            stripped = path.with_suffix(".stripped")
            subprocess.run([program, "--strip-unneeded", "-o", stripped, path], check=True)
            stripped.replace(path)


def compile_only(packages: Path, modules: list[Path]) -> None:
    for folder in [*packages.rglob("__pycache__")]:
        shutil.rmtree(folder)
    for path in modules:
        if path.suffix == ".py" and packages in path.parents:
            write_bytecode(path)


def write_bytecode(path: Path) -> None:
    """Compile a module without docstrings. Those of the framework are kept, because /api/docs shows them."""
    source = path.read_bytes()
    tree = ast.parse(source)
    if not path.is_relative_to(FRAMEWORK):
        tree = DocstringReplacer().visit(tree)
    code = compile(tree, path, "exec", dont_inherit=True)
    compiled = Path(cache_from_source(str(path)))
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(MAGIC_NUMBER + UNCHECKED_HASH + source_hash(source) + marshal.dumps(code))


class DocstringReplacer(ast.NodeTransformer):
    """Replaces docstrings and FastAPI's `Doc` texts by a dash.

    They are not removed like with `python -OO`, because SQLAlchemy then also expects removed asserts.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                text.value = "-"
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(func=ast.Name(id="Doc"), args=[ast.Constant() as text]):
                text.value = "-"
        return self.generic_visit(node)


def bill_of_materials(packages: Iterable[Distribution]) -> dict[str, object]:
    """List the installed packages in the format of https://cyclonedx.org/docs/1.6/json/."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {"type": "application", "name": PROJECT.name, "bom-ref": "site"},
        },
        "components": components(packages),
    }


def components(packages: Iterable[Distribution]) -> list[dict[str, Any]]:
    return sorted(map(_component, packages), key=itemgetter("name"))


def _component(package: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    address = f"pkg:pypi/{name}@{package.version}"
    return {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": package.version,
        "purl": address,
        "licenses": _licenses(package),
    }


def _licenses(package: Distribution) -> list[dict[str, Any]]:
    metadata = package.metadata
    if expressions := metadata.get_all("License-Expression"):
        return [{"expression": expressions[0]}]
    classifiers = metadata.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    # Older packages have a name or the whole text of the license in this field.
    texts = [text.strip().partition("\n")[0] for text in metadata.get_all("License") or []]
    return [{"license": {"name": name}} for name in names or texts if name]


def _megabytes(folder: Path) -> int:
    """Return the size on a disk with 4 kB blocks."""
    return sum(-(-path.lstat().st_size // 4096) * 4 for path in folder.rglob("*") if not path.is_dir()) // 1024


if __name__ == "__main__":
    sys.stdout.write(f"{slim(Path(sys.argv[1]))}\n")
