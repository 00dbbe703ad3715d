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
    return f"{head}{separator}{_singular_of(last)}"


def _singular_of(word: str) -> str:
    singulars = {plural: singular for singular, plural in IRREGULAR.items()}
    if word in singulars:
        return singulars[word]
    if word in UNCOUNTABLE or word.endswith("ss"):
        return word
    if word.endswith("ies"):
        return f"{word.removesuffix('ies')}y"
    if re.search(r"(ly|the|cri)ses$", word):  # analyses, theses, crises
        return f"{word.removesuffix('es')}is"
    has_long_ending = re.search(r"(x|z|ch|sh|ss|[tnpr]us)es$", word)
    return word.removesuffix("es" if has_long_ending else "s")


def label(name: str) -> str:
    """Return the label: `book_reviews` is "Book reviews"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
