"""Groups of features to leave out of a site. Few sites test each feature without each other one."""

from collections.abc import Collection, Sequence
from itertools import combinations, count
from math import comb

from opportune.feature import Feature
from opportune.project.installed import installed_features


def feature_rounds(names: Sequence[str]) -> list[list[str]]:
    """Return groups of features to leave out, so that every feature is tested without every other feature.

    Each feature is installed in a different set of rounds, and all sets have the same size.
    """
    number = next(number for number in count(1) if comb(number, number // 2) >= len(names))
    rounds_by_feature = dict(zip(names, combinations(range(number), number // 2), strict=False))
    return [[name for name in names if index not in rounds_by_feature[name]] for index in range(number)]


def features_without(left_out: Collection[str]) -> list[Feature]:
    """Return the installed features without these ones and those that need them."""
    remaining = [feature for feature in installed_features() if feature.name not in left_out]
    needing = {feature.name for feature in remaining if {*left_out}.intersection(feature.requires)}
    return features_without({*left_out} | needing) if needing else remaining
