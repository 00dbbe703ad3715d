"""Features and jobs that other features need and that are not installed."""

from collections.abc import Iterable, Iterator, Sequence
from inspect import isfunction
from itertools import chain

from opportune.feature import Feature
from opportune.features.names import routes_of
from opportune.project.installed import REQUIRED, feature_of_table
from opportune.project.optional_features import OPTIONAL_FEATURES, feature_of_module, how_to_list
from opportune.web.routing.api_router import with_dependencies


def find_missing_parts(features: Sequence[Feature], *, check_dependencies: bool) -> Iterator[str]:
    """Yield one line for each required feature and queued job that is missing."""
    names = {feature.name for feature in features}
    jobs = {job.name for feature in features for job in feature.jobs.definitions}
    for feature in features:
        for required in feature.requires:
            if required not in names:
                yield f"Feature({feature.name!r}, requires=…) needs the feature {required}. Add it to installed.py."
        for call in (*feature.admin.operations.values(), *feature.jobs.first):
            if call.job.name not in jobs:
                yield (
                    f"Feature({feature.name!r}) queues the job {call.job.name} of {call.job.function.__module__}, "
                    "which no installed feature lists: add it to jobs=Jobs([…]), or install its feature."
                )
    for feature in features:
        dependencies = _features_of_dependencies(feature) if check_dependencies else ()
        for user, required in chain(dependencies, _features_of_foreign_keys(feature, features)):
            if required not in names and required not in REQUIRED:
                yield f"Feature({feature.name!r}): {user} needs the feature {required}. {how_to_list(required)}"


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
