"""Removal of a feature that is a package: also its requirement, its pin, its wheel and its installation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from opportune.cli.environment.entry import BASE, uninstall
from opportune.cli.environment.installation import InstallError
from opportune.cli.project.shared_files import VENDOR
from opportune.cli.scaffold.feature_removal import FeatureRemoval
from opportune.cli.scaffold.packages.listing import without_dependency, without_pin
from opportune.cli.scaffold.packages.source import GROUP
from opportune.project.feature_packages import feature_packages


@dataclass(frozen=True)
class PackageRemoval(FeatureRemoval):
    """The files, lines and package to remove with a feature."""

    @cached_property
    def package(self) -> str:
        """Normalized name of the distribution; empty if it is not installed."""
        points = metadata.entry_points(group=GROUP, name=self.name)
        return next((canonicalize_name(point.dist.name) for point in points if point.dist), "")

    def summary(self) -> Iterator[str]:
        yield from super().summary()
        if self.package:
            yield f"the installed package {self.package}"

    def apply(self) -> None:
        super().apply()
        if self.package:
            try:
                uninstall(self.package)
            except InstallError as error:
                print(error)

    @cached_property
    def paths(self) -> Sequence[Path]:
        wheels = (self.project / VENDOR).glob(f"{self.package.replace('-', '_')}-*.whl") if self.package else ()
        return [*super().paths, *wheels]

    def changes(self) -> dict[Path, Callable[[str], str]]:
        changes = super().changes()
        if self.package:
            changes[self.project / "pyproject.toml"] = lambda text: without_dependency(text, self.package)
            changes[self.project / BASE] = lambda text: without_pin(text, self.package)
        return changes


def removal_of(name: str, project: Path) -> FeatureRemoval:
    return PackageRemoval(name, project) if name in feature_packages() else FeatureRemoval(name, project)
