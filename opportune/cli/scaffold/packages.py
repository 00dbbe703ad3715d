"""Feature packages as folders, wheels or installed distributions."""

import re
import subprocess
from collections.abc import Sequence
from importlib import invalidate_caches, metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from opportune import __version__
from opportune.cli.project.lock import require_uv
from opportune.cli.project.release import NAME, install_wheel
from opportune.errors import OperatorError
from opportune.project.feature_packages import PREFIX
from opportune.project.pyproject import read_pyproject

GROUP = "opportune.features"
"""Group of the entry point that names the feature."""
PACKAGE_NAME = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?")
GUIDE = "See oppman.py docs feature-packages."
NO_ENTRY_POINT = f"{{label}} has {{problem}} in the group {GROUP}, so it cannot be added. {GUIDE}"
DEPENDENCIES = re.compile(r"^dependencies = \[\n(?:.*\n)*?(?=^\])", re.MULTILINE)
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+) \\$", re.MULTILINE)
"""Package in the lock that is needed on all platforms."""


class FeaturePackage(NamedTuple):
    name: str
    """Normalized name of the distribution."""
    version: str
    feature: str
    requirements: Sequence[Requirement]

    @property
    def module(self) -> str:
        return f"{PREFIX}{self.feature}.feature"


def find_wheel(source: str, folder: Path) -> Path | None:
    """Return the wheel at a path, built if the path is a source folder; None if the source is a package name."""
    path = Path(source).expanduser()
    if path.is_dir():
        return _build_wheel(path, folder)
    if path.is_file():
        return path
    if not PACKAGE_NAME.fullmatch(source) or source.endswith(".whl"):
        raise OperatorError(f"{source} does not exist. Enter a folder, a wheel or the name of a package.")
    return None


def _build_wheel(source: Path, folder: Path) -> Path:
    if not (source / "pyproject.toml").is_file():
        raise OperatorError(f"{source} has no pyproject.toml, so it is not a package. {GUIDE}")
    project = read_pyproject(source).get("project", {"dynamic": ["entry-points"]})  # setup.cfg may have them
    if GROUP not in project.get("entry-points", ()) and "entry-points" not in project.get("dynamic", ()):
        raise OperatorError(NO_ENTRY_POINT.format(label=source, problem="no entry point"))
    command = [require_uv(), "build", "--wheel", "--quiet", "--out-dir", str(folder / "built"), str(source.resolve())]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wheel = next((folder / "built").glob("*.whl"), None)
    if result.returncode or not wheel:
        raise OperatorError(f"{source} cannot be built: {' '.join(result.stderr.split())[-500:] or 'no wheel'}")
    return wheel


def read_wheel(wheel: Path, folder: Path) -> FeaturePackage:
    root = folder / "wheel"
    install_wheel(wheel, root)
    return _read_package(metadata.PathDistribution(next(root.glob("*.dist-info"))), wheel.name)


def read_installed(name: str) -> FeaturePackage | None:
    invalidate_caches()
    try:
        return _read_package(metadata.distribution(name), name)
    except metadata.PackageNotFoundError:
        return None


def _read_package(distribution: metadata.Distribution, label: str) -> FeaturePackage:
    points = [point for point in distribution.entry_points if point.group == GROUP]
    if len(points) != 1:
        problem = "several entry points" if points else "no entry point"
        raise OperatorError(NO_ENTRY_POINT.format(label=label, problem=problem))
    name = points[0].name
    expected = f"{PREFIX}{name}.feature:{name}"
    if points[0].value != expected:
        raise OperatorError(
            f'{label}: the entry point {name} = "{points[0].value}" must be {name} = "{expected}". {GUIDE}'
        )
    requirements = [Requirement(text) for text in distribution.requires or ()]
    _require_version(label, requirements)
    return FeaturePackage(canonicalize_name(distribution.metadata["Name"]), distribution.version, name, requirements)


def _require_version(label: str, requirements: Sequence[Requirement]) -> None:
    for requirement in requirements:
        supported = requirement.specifier
        if canonicalize_name(requirement.name) == NAME and not supported.contains(__version__, prereleases=True):
            raise OperatorError(
                f"{label} needs opportune{supported}, but this project has {__version__}. "
                "Upgrade the project (oppman.py upgrade), or use another version of the package."
            )


def with_dependency(text: str, requirement: str) -> str:
    """Add a requirement to the dependencies in pyproject.toml. It replaces another version."""
    text = without_dependency(text, Requirement(requirement).name)
    if not DEPENDENCIES.search(text):
        raise OperatorError(
            "pyproject.toml has no list `dependencies` with one package per line. Add it and try again."
        )
    return DEPENDENCIES.sub(lambda match: f'{match[0]}    "{requirement}",\n', text, count=1)


def without_dependency(text: str, name: str) -> str:
    return re.sub(rf'^ *"{_any_spelling(name)}(?![\w.-])[^"]*",.*\n', "", text, flags=re.MULTILINE | re.IGNORECASE)


def without_pin(lock: str, name: str) -> str:
    return re.sub(rf"^{_any_spelling(name)}==.*\n(?: +.*\n)*", "", lock, flags=re.MULTILINE)


def _any_spelling(name: str) -> str:
    return canonicalize_name(name).replace("-", "[-_.]+")


def satisfies(lock: str, requirements: Sequence[Requirement]) -> bool:
    """Return whether a lock already has all requirements, except those of extras."""
    versions = dict(PIN.findall(lock))
    return all(_is_pinned(requirement, versions) for requirement in requirements)


def _is_pinned(requirement: Requirement, versions: dict[str, str]) -> bool:
    if "extra ==" in str(requirement.marker):
        return True
    version = versions.get(canonicalize_name(requirement.name), "")
    is_plain = not (requirement.extras or requirement.url)
    return is_plain and bool(version) and requirement.specifier.contains(version, prereleases=True)
