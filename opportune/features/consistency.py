"""Checks that the features of a site fit together."""

from collections.abc import Iterable, Iterator

from opportune.crud.registry import find_default_errors
from opportune.db.hooks.registry import find_hook_error
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.features.names import find_doubled_prefixes, find_feature_name_errors, find_repeated_names
from opportune.features.parts import find_missing_parts, find_unlisted_features, find_unlisted_parts


def require_consistent_features(
    features: Iterable[Feature], *, is_complete: bool = False, check_dependencies: bool = True
) -> None:
    """Check that no name is registered twice, and that required features are installed.

    Args:
        features: Features of the site.
        is_complete: Whether these are all features of the project. No other may then be imported.
        check_dependencies: Whether dependencies of routes are also checked, for which all routes are analysed.

    Raises:
        OperatorError: A name is registered twice, or a feature is missing. The message describes the first error.
    """
    errors = find_registration_errors(features, is_complete=is_complete, check_dependencies=check_dependencies)
    if message := next(errors, ""):
        raise OperatorError(message)


def find_registration_errors(
    features: Iterable[Feature], *, is_complete: bool = False, check_dependencies: bool = True
) -> Iterator[str]:
    """Yield one line for each name that is registered twice, and for each missing feature, job or hook."""
    features = list(features)
    yield from find_feature_name_errors(features)
    yield from find_repeated_names(features)
    yield from find_missing_parts(features, check_dependencies=check_dependencies)
    yield from find_doubled_prefixes(features)
    hook_errors = (find_hook_error(feature.name, feature.hooks) for feature in features)
    yield from filter(None, hook_errors)
    yield from find_default_errors()
    yield from find_unlisted_parts(features)
    if is_complete:
        yield from find_unlisted_features(features)
