"""Search for texts that a user can read and that are not marked for translation."""

from collections.abc import Iterator

from jinja2 import TemplateSyntaxError

from opportune.contrib.translations.extraction import Source
from opportune.contrib.translations.labels import site_labels
from opportune.contrib.translations.unmarked_in_python import unmarked_in_python
from opportune.contrib.translations.unmarked_in_templates import unmarked_in_template
from opportune.errors import OperatorError
from opportune.project.layout import display_path

SEARCHES = {".html": unmarked_in_template, ".py": unmarked_in_python, ".txt": unmarked_in_template}


def find_unmarked(source: Source) -> Iterator[str]:
    """Yield the unmarked texts of a source, each with its file and line. Demo data stays in its language."""
    labels = {label for texts in site_labels().values() for label in texts}
    for path in source.files():
        search = SEARCHES.get(path.suffix)
        is_text_for_robots = path.suffix == ".txt" and "mail" not in path.parts
        if not search or path.name == "demo.py" or is_text_for_robots:
            continue
        try:
            unmarked = [*search(path.read_text(encoding="utf-8"))]
        except (SyntaxError, UnicodeDecodeError, TemplateSyntaxError) as error:
            raise OperatorError(f"{display_path(path)} cannot be read: {error}.") from error
        yield from (f"{display_path(path)}:{line}: {text}" for line, text in unmarked if text not in labels)
