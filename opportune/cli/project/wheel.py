"""Builds the wheel of the framework with the standard library. The same files always give the same bytes.

`python -m opportune.cli.project.wheel FOLDER` writes it into a folder. pyproject.toml names this module as its build
backend (PEP 517), so `uv build --wheel` and `pip wheel .` write the same file.
"""

import base64
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from opportune.cli.project.shared_files import EXECUTABLE, STARTER, shared_files
from opportune.config.project import FRAMEWORK
from opportune.runtime.catalogue_compiler import compile_catalogue

NAME = FRAMEWORK.name
ROOT = FRAMEWORK.parent
"""The clone of the starter."""
NOT_PACKAGED = re.compile(r"(^|/)(__pycache__|\.DS_Store)(/|$)|\.(pyc|mo)$|\.opportune\.tmp")
EARLIEST_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of all files in the wheel, because their real dates would change its bytes."""
GROUPS_WITHOUT_EXTRA = ("dev", "docs", "framework")
WHEEL = """\
Wheel-Version: 1.0
Generator: {name}
Root-Is-Purelib: true
Tag: py3-none-any
"""


class WheelFile(NamedTuple):
    """A wheel and the hash that locks pin."""

    path: Path
    hash: str


def build_wheel(wheel_directory: str | Path, config_settings: object = None, metadata_directory: object = None) -> str:
    """Write the wheel into a folder and return its file name, as PEP 517 requires."""
    return write_wheel(Path(wheel_directory)).path.name


def write_wheel(folder: Path, root: Path = ROOT) -> WheelFile:
    """Write the wheel of a clone of the starter into a folder, which is created if necessary."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    info = f"{NAME}-{version}.dist-info"
    files = {**dict(_package_files(root)), f"{info}/licenses/LICENSE": (root / "LICENSE").read_bytes()}
    files[f"{info}/METADATA"] = _metadata(project, root).encode()
    files[f"{info}/WHEEL"] = WHEEL.format(name=NAME).encode()
    files[f"{info}/RECORD"] = "".join(_record_lines(files, f"{info}/RECORD")).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / wheel_name(version)
    with ZipFile(path, "w", ZIP_STORED) as archive:  # compressed bytes would depend on the version of zlib
        for name, content in files.items():
            archive.writestr(_zip_info(name), content)
    return WheelFile(path, hash_of(path))


def wheel_name(version: str) -> str:
    return f"{NAME}-{version}-py3-none-any.whl"


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _package_files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path in the wheel and the content of each file: code, documentation, files of new projects and
    catalogues of the examples, which `makemessages` copies."""
    sources = {f"{NAME}/{path}": root / NAME / path for path in _files_below(root / NAME)}
    sources |= {f"{NAME}/docs/{path}": root / "docs" / path for path in _files_below(root / "docs", "*.md")}
    sources[f"{NAME}/docs/changelog.md"] = root / "CHANGELOG.md"
    sources |= {f"{NAME}/{STARTER}/{path}": root / path for path in shared_files(root)}
    contents = {name: path.read_bytes() for name, path in sources.items()}
    catalogues = [name for name in contents if name.endswith(".po")]
    examples = {path.relative_to(root).as_posix(): path for path in root.glob("app/*/locale/**/*.po")}
    contents |= {f"{NAME}/{STARTER}/{name}": path.read_bytes() for name, path in examples.items()}
    contents |= {f"{name.removesuffix('.po')}.mo": compile_catalogue(contents[name].decode()) for name in catalogues}
    yield from sorted(contents.items())


def _files_below(folder: Path, pattern: str = "*") -> Iterator[str]:
    """Yield the paths of the matching files in a folder, relative to it."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob(pattern) if path.is_file())
    return (name for name in names if not NOT_PACKAGED.search(name))


def _metadata(project: dict[str, Any], root: Path) -> str:
    """Return the core metadata of the package, from pyproject.toml and README.md."""
    data, groups = project["project"], project.get("dependency-groups", {})
    extras = {name: group for name, group in groups.items() if name not in GROUPS_WITHOUT_EXTRA}
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {data['name']}",
        f"Version: {data['version']}",
        f"Summary: {data['description']}",
        f"License-Expression: {data['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {data['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in data["dependencies"]),
    ]
    for extra, requirements in extras.items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f"Requires-Dist: {_with_extra(requirement, extra)}" for requirement in requirements]
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join(lines) + "\n\n" + (root / "README.md").read_text(encoding="utf-8")


def _with_extra(requirement: str, extra: str) -> str:
    name, _, marker = requirement.partition(";")
    condition = f"({marker.strip()}) and " if marker else ""
    return f"{name.strip()}; {condition}extra == '{extra}'"


def _record_lines(files: dict[str, bytes], record: str) -> Iterable[str]:
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
        yield f"{name},sha256={digest},{len(content)}\n"
    yield f"{record},,\n"


def _zip_info(name: str) -> ZipInfo:
    info = ZipInfo(name, EARLIEST_DATE)
    info.create_system = 3  # Unix, so that the permissions below are read
    is_executable = name.removeprefix(f"{NAME}/{STARTER}/") in EXECUTABLE
    info.external_attr = (0o100755 if is_executable else 0o100644) << 16
    return info


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(f"Usage: python -m {__spec__.name} FOLDER", file=sys.stderr)
        return 2
    wheel = write_wheel(Path(arguments[0]))
    print(f"{wheel.path} --hash=sha256:{wheel.hash}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
