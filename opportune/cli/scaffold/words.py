"""Conversion of names: `BookReview`, `book_review`, `BookReviews`, "Book reviews"."""

import re

IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet"}
IRREGULAR |= {"shelf": "shelves", "leaf": "leaves", "quiz": "quizzes", "bus": "buses"}
UNCOUNTABLE = {"news", "series", "species", "equipment", "information", "data", "media", "money", "sheep", "fish"}


def snake(name: str) -> str:
    """Return the name in snake case: `BookReview` is `book_review`, `ISBNList` is `isbn_list`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def camel(name: str) -> str:
    """Return the name in camel case: `book_review` is `BookReview`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def plural(name: str) -> str:
    """Return the plural in the same spelling: `story` is `stories`, `BookReview` is `BookReviews`."""
    head, separator, last = snake(name).rpartition("_")
    result = f"{head}{separator}{_plural(last)}"
    return camel(result) if name[:1].isupper() else result


def _plural(word: str) -> str:
    if word in UNCOUNTABLE:
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"


def singular(name: str) -> str:
    """Return the singular: `stories` is `story`. Other words are returned unchanged."""
    head, separator, last = name.rpartition("_")
    singulars = {plural: singular for singular, plural in IRREGULAR.items()}
    if last in singulars:
        last = singulars[last]
    elif last.endswith("ies") and last not in UNCOUNTABLE:
        last = f"{last.removesuffix('ies')}y"
    elif last not in UNCOUNTABLE and not last.endswith("ss"):
        last = last.removesuffix("es") if re.search(r"(x|z|ch|sh|ss)es$", last) else last.removesuffix("s")
    return f"{head}{separator}{last}"


def label(name: str) -> str:
    """Return the label: `book_reviews` is "Book reviews"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]
