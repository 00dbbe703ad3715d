"""Parts that the project declares and does not list: hooks, jobs and settings of a feature, and features."""

import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from opportune.config.base_settings import BaseSettings
from opportune.db.hooks.registry import registered as registered_hooks
from opportune.feature import Feature
from opportune.jobs.declaration import declared as declared_jobs
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE, origin


def find_unlisted_parts(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each hook, job and settings class that its feature in the project does not list."""
    names = {feature.name for feature in features}
    listed: set[Any] = {*chain.from_iterable(feature.hooks for feature in features)}
    listed |= {job.function for feature in features for job in feature.jobs.definitions}
    listed |= {feature.settings for feature in features}
    declared: list[tuple[str, Any]] = [("hooks=[…]", registration.hook) for registration in registered_hooks]
    declared += [("jobs=Jobs([…])", job.function) for job in declared_jobs]
    declared += [("settings=…", class_) for class_ in BaseSettings.__subclasses__()]
    for argument, part in declared:
        module = part.__module__ or ""
        feature = origin(part)
        if part in listed or feature not in names or not module.startswith((f"{PACKAGE}.", PREFIX)):
            continue
        package = module.split(".")[0]
        folder = f"{package}/{feature}" if package == PACKAGE else package
        yield f"{folder}/feature.py: {argument} lacks {getattr(part, '__name__', part)} of {module}. Add it."


def find_unlisted_features(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each feature of the project that is imported, so that its models have an effect."""
    names = {feature.name for feature in features}
    for name, package in sorted(sys.modules.items()):
        feature = _feature_of_package(name)
        if not feature or feature in names or not hasattr(package, "__path__"):
            continue
        exports = vars(sys.modules.get(f"{name}.feature", package)).values()
        is_listed = any(export is listed for export in exports for listed in features)  # under another name
        if not is_listed and any(Path(folder, "feature.py").is_file() for folder in package.__path__):
            yield (
                f"{name} is imported, but {PACKAGE}/installed.py does not list its feature. "
                "Add it to INSTALLED, or remove the imports."
            )


def _feature_of_package(module: str) -> str:
    """Return the name of the feature of a package `app.NAME`, or of an installed package; else an empty string."""
    parent, _, name = module.rpartition(".")
    if parent == PACKAGE:
        return name
    return name.removeprefix(PREFIX) if not parent and name.startswith(PREFIX) else ""
