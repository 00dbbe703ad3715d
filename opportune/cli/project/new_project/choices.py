"""Choices of a new project: its names, examples and language.

Uses only the standard library, because packages such as Babel may not be installed yet.
"""

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opportune.cli.environment.locks import pins
from opportune.cli.project import shared_files
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK, PACKAGE, USERS

PROGRAM = "oppman.py startproject" if shared_files.IS_CLONE else "opportune new"
CALL = f"python3 {PROGRAM}" if shared_files.IS_CLONE else PROGRAM
"""The program as users call it, for messages."""
MAX_NAME_LENGTH = 60
"""Maximum number of characters, limited by the space in titles, e-mails and beside the logo."""
ALWAYS = {"home": "the landing page", USERS: "the user model"}
"""Features that every project has, with their descriptions."""
OPTIONAL_FRAMEWORK_FEATURES = ("teams", "knowledge")
"""Optional features of the framework, which only have a line in installed.py."""
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

PRESENTATION_MESSAGE = re.compile(rf"^#: {re.escape(shared_files.LANDING_PAGE)}\n(?:.+\n)+\n?", re.MULTILINE)
"""A message of a catalogue that only the landing page of the clone has."""
LANGUAGE_FIELDS = """
    language: str = "{language}"
    time_zone: str = "{time_zone}"
"""


def site_name(name: str) -> str:
    """Return the name for visitors: `book-shelf` becomes Book shelf. Names with capitals or spaces are unchanged."""
    name = " ".join(name.split())
    return name if name != name.lower() or " " in name else re.sub(r"[-_]+", " ", name).strip().capitalize()


def folder_name(name: str) -> str:
    """Return the name in ASCII lowercase letters, digits and `-`; empty if there are none."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-")


def name_error(name: str, slug: str) -> str | None:
    """Return an error message if a project cannot have this name; None if it can."""
    is_printable = {"Cc", "Cs", "Zl", "Zp"}.isdisjoint(map(unicodedata.category, name))  # joiners are, as in Persian
    if not name.strip() or not is_printable or len(name) > MAX_NAME_LENGTH:
        return f"{name[:MAX_NAME_LENGTH]!r} is not a site name. Use 1 to {MAX_NAME_LENGTH} printable characters."
    if re.match(r"([.~]*|[A-Za-z]:)[/\\]", name):
        return f'{name!r} is a path, but the first argument is the name of the site. Use: {CALL} Bookshelf "{name}"'
    if slug in {FRAMEWORK.name, *_locked_names()}:
        return f"{name!r} is the name of a package of the project. Choose another name, such as {slug}-site."
    return None


def _locked_names() -> set[str]:
    locks = (shared_files.STARTER_ROOT / shared_files.BASE_LOCK, *shared_files.STARTER_ROOT.glob("requirements/*.lock"))
    texts = (lock.read_text(encoding="utf-8") for lock in locks)
    return {name.lower() for text in texts for name in pins(text)}


def examples() -> dict[str, str]:
    """Return the summaries of the optional features, by name."""
    return {name: _read_argument(file, "summary", "") for name, file in _feature_files().items()}


def _feature_files() -> dict[str, Path]:
    files = sorted((shared_files.STARTER_ROOT / PACKAGE).glob("*/feature.py"))
    framework_files = [FRAMEWORK / "contrib" / name / "feature.py" for name in OPTIONAL_FRAMEWORK_FEATURES]
    return {file.parent.name: file for file in [*framework_files, *files] if file.parent.name not in ALWAYS}


def _read_argument(file: Path, name: str, default: Any) -> Any:
    """Return a literal argument of `Feature(…)`, by keyword or position, or the default.

    The file is parsed, because its imports may not be installed yet.
    """
    calls = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    call = next(call for call in calls if ast.unparse(call.func) == "Feature")
    values = {keyword.arg: keyword.value for keyword in call.keywords}
    values.update(zip(("name", "summary"), call.args, strict=False))
    return ast.literal_eval(values[name]) if name in values else default


def parse_example_names(text: str) -> list[str]:
    """Return the examples in a comma-separated list, which may also be `all` or `none`, and those that they require."""
    files = _feature_files()
    names = [word.strip() for word in text.split(",") if word.strip()]
    if names in ([], ["none"], ["all"]):
        return list(files) if names == ["all"] else []
    if unknown := [name for name in names if name not in files]:
        raise OperatorError(f"There is no example {unknown[0]!r}. Choose from {', '.join(files)}; only all; or none.")
    required = {other for name in names for other in _read_argument(files[name], "requires", ())}
    return [name for name in files if name in {*names, *required}]


def require_offered_language(code: str) -> str:
    """Return the code in its usual spelling."""
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
        shared_files.substitute(folder / ".env.example", rf"^# {name}=.*$", f"# {name}={value}")
    for feature in sorted(folder.glob(f"{PACKAGE}/*/")):
        catalogue = Path(feature.relative_to(folder), "locale", language.replace("-", "_"), "LC_MESSAGES/messages.po")
        if (shared_files.STARTER_ROOT / catalogue).exists():
            text = PRESENTATION_MESSAGE.sub("", (shared_files.STARTER_ROOT / catalogue).read_text(encoding="utf-8"))
            shared_files.write_with_line_feeds(folder / catalogue, text)


def describe_language(language: str) -> Iterator[str]:
    """Yield lines about the language of a new project, for its developer."""
    time_zone = TIME_ZONES[language]
    zone = f"The time zone is {time_zone}" if time_zone else "The time zone is UTC, because the language has many"
    yield f"The language is {language}. {zone}. Both are in app/settings.py."
    if language != ENGLISH and not (FRAMEWORK / "locale" / language.replace("-", "_")).is_dir():
        yield "Texts are English until you translate them (python3 oppman.py docs translations)."
