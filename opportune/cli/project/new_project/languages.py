"""Languages of `startproject --language`. Uses only the standard library, as Babel may not be installed yet."""

import re
from collections.abc import Iterator
from pathlib import Path

from opportune.cli.project.shared_files import LANDING_PAGE, STARTER_ROOT, substitute, write_text
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK, PACKAGE

ENGLISH = "en"
TIME_ZONES = {
    "ar": "",
    "bg": "Europe/Sofia",
    "ca": "Europe/Madrid",
    "cs": "Europe/Prague",
    "da": "Europe/Copenhagen",
    "de": "Europe/Berlin",
    "el": "Europe/Athens",
    ENGLISH: "",
    "es": "",
    "et": "Europe/Tallinn",
    "fa": "Asia/Tehran",
    "fi": "Europe/Helsinki",
    "fr": "Europe/Paris",
    "he": "Asia/Jerusalem",
    "hi": "Asia/Kolkata",
    "hr": "Europe/Zagreb",
    "hu": "Europe/Budapest",
    "id": "Asia/Jakarta",
    "is": "Atlantic/Reykjavik",
    "it": "Europe/Rome",
    "ja": "Asia/Tokyo",
    "ko": "Asia/Seoul",
    "lt": "Europe/Vilnius",
    "lv": "Europe/Riga",
    "nb": "Europe/Oslo",
    "nl": "Europe/Amsterdam",
    "pl": "Europe/Warsaw",
    "pt": "Europe/Lisbon",
    "pt-BR": "America/Sao_Paulo",
    "ro": "Europe/Bucharest",
    "sk": "Europe/Bratislava",
    "sl": "Europe/Ljubljana",
    "sr": "Europe/Belgrade",
    "sv": "Europe/Stockholm",
    "th": "Asia/Bangkok",
    "tr": "Europe/Istanbul",
    "uk": "Europe/Kyiv",
    "ur": "Asia/Karachi",
    "vi": "Asia/Ho_Chi_Minh",
    "zh-Hans": "Asia/Shanghai",
    "zh-Hant": "Asia/Taipei",
}
"""Offered languages, each with the time zone of most of its speakers; empty if they live in many zones."""

PRESENTATION_MESSAGE = re.compile(rf"^#: {re.escape(LANDING_PAGE)}\n(?:.+\n)+\n?", re.MULTILINE)
"""A message of a catalogue that only the landing page of the clone has."""
LANGUAGE_FIELDS = """
    language: str = "{language}"
    time_zone: str = "{time_zone}"
"""


def require_offered_language(code: str) -> str:
    """Return the code in its usual spelling.

    Raises:
        OperatorError: the language is not offered.
    """
    by_lower_case = {offered.lower(): offered for offered in TIME_ZONES}
    if language := by_lower_case.get(code.lower().replace("_", "-")):
        return language
    raise OperatorError(f"There is no language {code!r}. Choose from {', '.join(TIME_ZONES)}.")


def write_language(folder: Path, language: str) -> None:
    """Set the language of a new project and its time zone, and copy the catalogues of its features."""
    time_zone = TIME_ZONES[language] or "UTC"
    path = folder / PACKAGE / "settings.py"
    fields = LANGUAGE_FIELDS.format(language=language, time_zone=time_zone)
    path.write_text(path.read_text(encoding="utf-8") + fields, encoding="utf-8", newline="\n")
    for name, value in (("LANGUAGE", language), ("TIME_ZONE", time_zone)):
        substitute(folder / ".env.example", rf"^# {name}=.*$", f"# {name}={value}")
    for feature in sorted(folder.glob(f"{PACKAGE}/*/")):
        catalogue = Path(feature.relative_to(folder), "locale", language.replace("-", "_"), "LC_MESSAGES/messages.po")
        if (STARTER_ROOT / catalogue).exists():
            text = PRESENTATION_MESSAGE.sub("", (STARTER_ROOT / catalogue).read_text(encoding="utf-8"))
            write_text(folder / catalogue, text)


def describe_language(language: str) -> Iterator[str]:
    """Yield lines about the language of a new project, for its developer."""
    time_zone = TIME_ZONES[language]
    zone = f"The time zone is {time_zone}" if time_zone else "The time zone is UTC, because the language has many"
    yield f"The language is {language}. {zone}. Both are in app/settings.py."
    if language != ENGLISH and not (FRAMEWORK / "locale" / language.replace("-", "_")).is_dir():
        yield "Texts are English until you translate them (python3 oppman.py docs translations)."
