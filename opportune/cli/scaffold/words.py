"""Conversion of names: `BookReview`, `book_review`, `BookReviews`, "Book reviews"."""

import re

from opportune.plurals import IRREGULAR, UNCOUNTABLE, plural_of


def snake(name: str) -> str:
    """Return the name in snake case: `BookReview` is `book_review`, `ISBNList` is `isbn_list`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def camel(name: str) -> str:
    """Return the name in camel case: `book_review` is `BookReview`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def plural(name: str) -> str:
    """Return the plural in the same spelling: `story` is `stories`, `BookReview` is `BookReviews`."""
    head, separator, last = snake(name).rpartition("_")
    result = f"{head}{separator}{plural_of(last)}"
    return camel(result) if name[:1].isupper() else result


def singular(name: str) -> str:
    """Return the singular: `stories` is `story`. Other words are returned unchanged."""
    head, separator, last = name.rpartition("_")
    singulars = {plural: singular for singular, plural in IRREGULAR.items()}
    if last in singulars:
        last = singulars[last]
    elif last.endswith("ies") and last not in UNCOUNTABLE:
        last = f"{last.removesuffix('ies')}y"
    elif re.search(r"(ly|the|cri)ses$", last):
        last = f"{last.removesuffix('es')}is"
    elif last not in UNCOUNTABLE and not last.endswith("ss"):
        last = last.removesuffix("es") if re.search(r"(x|z|ch|sh|ss|[tnpr]us)es$", last) else last.removesuffix("s")
    return f"{head}{separator}{last}"


def label(name: str) -> str:
    """Return the label: `book_reviews` is "Book reviews"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
