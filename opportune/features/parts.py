"""Parts of features that the site lacks: required features and jobs, and parts that the project does not list."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from inspect import isfunction
from itertools import chain
from pathlib import Path
from typing import Any

from opportune.config.base_settings import BaseSettings
from opportune.db.hooks.registry import registered as registered_hooks
from opportune.feature import Feature
from opportune.features.names import routes_of
from opportune.jobs.declaration import declared as declared_jobs
from opportune.project.feature_packages import PREFIX
from opportune.project.installed import REQUIRED, feature_of_table
from opportune.project.layout import PACKAGE, origin
from opportune.project.optional_features import OPTIONAL_FEATURES, feature_of_module, how_to_list
from opportune.web.routing.api_router import with_dependencies


def find_missing_parts(features: Sequence[Feature], *, check_dependencies: bool) -> Iterator[str]:
    """Yield one line for each required feature and queued job that is missing."""
    names = {feature.name for feature in features}
    for feature in features:
        for required in feature.requires:
            if required not in names:
                yield f"Feature({feature.name!r}, requires=…) needs the feature {required}. Add it to installed.py."
    yield from _find_unlisted_jobs(features)
    for feature in features:
        dependencies = _features_of_dependencies(feature) if check_dependencies else ()
        for user, required in chain(dependencies, _features_of_foreign_keys(feature, features)):
            if required not in names and required not in REQUIRED:
                yield f"Feature({feature.name!r}): {user} needs the feature {required}. {how_to_list(required)}"


def _find_unlisted_jobs(features: Sequence[Feature]) -> Iterator[str]:
    """Yield one line for each job that a feature queues and that none lists."""
    listed = {job.name for feature in features for job in feature.jobs.definitions}
    for feature in features:
        for call in (*feature.admin.operations.values(), *feature.jobs.first):
            if call.job.name not in listed:
                yield (
                    f"Feature({feature.name!r}) queues the job {call.job.name} of {call.job.function.__module__}, "
                    "which no installed feature lists: add it to jobs=Jobs([…]), or install its feature."
                )


def _features_of_dependencies(feature: Feature) -> Iterator[tuple[str, str]]:
    """Yield each route with the optional features whose dependencies it has."""
    for path, route in routes_of(feature):
        calls = (dependant.call for dependant in with_dependencies(route.dependant) if isfunction(dependant.call))
        for required in dict.fromkeys(feature_of_module(call.__module__) for call in calls):
            if required:
                yield f"the route {path}", required


def _features_of_foreign_keys(feature: Feature, installed: Iterable[Feature]) -> Iterator[tuple[str, str]]:
    """Yield each model that refers to a table of an optional feature."""
    tables = {model.__tablename__ for feature in installed for model in feature.models}
    for model in feature.models:
        for key in getattr(getattr(model, "__table__", None), "foreign_keys", ()):
            table = key.target_fullname.rpartition(".")[0]
            if table not in tables and (required := feature_of_table(table, [*OPTIONAL_FEATURES])):
                yield f"the model {model.__name__}", required


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
