"""Misspelt and mistyped options of classes that declare a part of a site. Without a check, they have no effect.

A public value is refused if its name is similar to an option, and a method if its name is almost that of a
method of the base class. Names of your own can begin with `_`, be constants in capitals, or come from a mixin.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from inspect import getattr_static
from itertools import chain
from types import FunctionType, MappingProxyType
from typing import Any

from typing_extensions import Format, get_annotations

from opportune.errors import OperatorError
from opportune.errors.option_types import describe_mismatch
from opportune.errors.suggestions import MIN_MISSPELT_SIMILARITY, MIN_SIMILARITY, closest_name

MIN_METHOD_LENGTH = 5
"""Methods with shorter names are similar to too many words."""
ALL_COLUMNS = "__all__"
"""SQLAdmin's value for all columns, which options with a list of columns accept."""
METHOD_TYPES = (FunctionType, classmethod, staticmethod, property)
NO_NAMES: Mapping[str, str] = MappingProxyType({})


def find_misspelt(
    class_: type[Any], base: Any, similarity: float = MIN_SIMILARITY, renamed: Mapping[str, str] = NO_NAMES
) -> Iterator[str]:
    """Yield a message for each attribute without effect whose name is similar to one of the base class.

    Args:
        class_: A subclass, such as `Books`.
        base: The class with the options, such as `Crud`.
        similarity: Similarity from which a value counts as a misspelt option.
        renamed: Names of options in other frameworks and earlier versions, with ours.
    """
    for name, value in _added_attributes(class_, base):
        if callable(value) or hasattr(value, "__get__"):
            if suggestion := renamed.get(name) or _similar_method(name, base):
                advice = "Rename it, or begin the name with _ if it is your own."
                yield f"{class_.__name__} overrides no method {name}. Did you mean {suggestion}? {advice}"
        elif suggestion := renamed.get(name) or _similar_option(name, base, similarity):
            yield f"{class_.__name__} has no option {name}. Did you mean {suggestion}?"


def _added_attributes(class_: type[Any], base: Any) -> Iterator[tuple[str, Any]]:
    """Yield the public attributes that a class and its parents below the base class add to it."""
    subclasses = [parent for parent in class_.__mro__ if issubclass(parent, base) and parent is not base]
    mixins = [parent for parent in class_.__mro__ if not issubclass(parent, base) and not issubclass(base, parent)]
    known_names = _names(base).union(*map(vars, mixins))
    for subclass in subclasses:
        for name, value in vars(subclass).items():
            is_public = not (name.startswith("_") or name.isupper())
            if is_public and name not in known_names:
                yield name, value


def find_mismatches(class_: type[Any], base: Any) -> Iterator[str]:
    """Yield a message for each option with a value of another type than the base class declares."""
    added = {name for parent in class_.__mro__ if parent not in base.__mro__ for name in vars(parent)}
    for name, annotation in _declared_options(base):
        if name not in added:
            continue
        value = getattr_static(class_, name)
        is_accepted = value == ALL_COLUMNS or value is getattr_static(base, name, None)
        if not is_accepted and (mismatch := describe_mismatch(value, annotation)):
            yield f"{class_.__name__}.{name} {mismatch}."
    for name, value in vars(class_).items():
        if not hasattr(type(value), "__get__") and isinstance(getattr_static(base, name, None), FunctionType):
            yield f"{class_.__name__}.{name} is a method, not an option. Write a function, or rename it."


@cache
def _declared_options(base: Any) -> Sequence[tuple[str, Any]]:
    return [item for parent in base.__mro__ for item in get_annotations(parent, format=Format.FORWARDREF).items()]


def refuse_wrong_options(class_: type[Any], base: type[Any], renamed: Mapping[str, str] = NO_NAMES) -> None:
    """Raise OperatorError for the first misspelt option of a class, and the first value of another type."""
    if message := next(chain(find_misspelt(class_, base, renamed=renamed), find_mismatches(class_, base)), ""):
        raise OperatorError(message)


@cache
def _names(base: Any) -> frozenset[str]:
    """Return the names that subclasses may set, also those that are only annotated."""
    return frozenset(dir(base)).union(*(get_annotations(class_, format=Format.FORWARDREF) for class_ in base.__mro__))


@cache
def _similar_option(name: str, base: Any, similarity: float) -> str | None:
    """Return the option with a similar name. Cached, because comparing names would delay the start."""
    public = [other for other in _names(base) if not other.startswith("_")]
    options = [other for other in public if not callable(getattr(base, other, None))]
    return closest_name(name, options, similarity) or closest_name(name, public, MIN_MISSPELT_SIMILARITY)


@cache
def _similar_method(name: str, base: Any) -> str | None:
    """Return the method with almost this name and as many words: `get_writable_rows` is no typo of `get_writable`."""
    methods = []
    for other in dir(base):
        is_candidate = len(other) >= MIN_METHOD_LENGTH and other.count("_") == name.count("_")
        if is_candidate and not other.startswith("_") and isinstance(getattr_static(base, other), METHOD_TYPES):
            methods.append(other)
    return closest_name(name, methods, MIN_MISSPELT_SIMILARITY)
