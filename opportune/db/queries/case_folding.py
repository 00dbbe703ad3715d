"""Letters that differ only in case: LIKE of SQLite knows those of ASCII, and PostgreSQL all but the final sigma."""

from functools import cache

SIGMA = "\u03c3"
LOWER_LETTERS = {"\u0130": "i", "\u03c2": SIGMA}
"""Lower case of letters for which Python has two letters, or keeps the final form."""
UNUSUAL_FORMS = (*LOWER_LETTERS, "\u212a", "\u212b", "\u2126", "\u03f4", "\u1e9e")
"""Letters to which `upper` of their lower case does not lead: İ, final sigma, Kelvin, Angstrom, Ohm, Theta and ẞ."""
MAX_LETTERS = 100
"""Letters of a pattern with other forms. SQLite limits the depth of expressions to 1,000."""


def lower_character(letter: str) -> str:
    """Return the lower case of a letter as one letter."""
    lower = LOWER_LETTERS.get(letter) or letter.lower()
    return lower if len(lower) == 1 else letter


def forms_of(text: str) -> dict[str, tuple[str, ...]]:
    """Return the lower case letters of a text that have other forms outside of ASCII, with these forms."""
    forms = {letter: _other_forms(letter) for letter in dict.fromkeys(map(lower_character, text))}
    return dict([(letter, others) for letter, others in forms.items() if others][:MAX_LETTERS])


@cache
def _other_forms(letter: str) -> tuple[str, ...]:
    candidates = dict.fromkeys((letter.upper(), letter.title(), *UNUSUAL_FORMS))
    return tuple(
        other
        for other in candidates
        if len(other) == 1 and not other.isascii() and other != letter and lower_character(other) == letter
    )
