"""Texts of templates that the owner of a project edits."""

import re
from pathlib import Path

MARKED = re.compile(r"""{{ (?:_|\w*gettext)\((?:"[^"]*", )?"([^"]*)"[^{}]*}}""")
PARTS = re.compile(
    r"(<h[1-6][^>]*>|<a [^>]*>|{% block title %})((?:(?!<h[1-6]|<a |{% block).)*?)(?=</h[1-6]>|</a>|{% endblock %})",
    re.DOTALL,
)
FOOTER = "home/footer.html"


def owner_texts(templates: Path) -> set[str]:
    """Return the texts of headings, titles and links, and all texts of the footer."""
    texts: set[str] = set()
    for file in templates.rglob("*.html"):
        source = file.read_text(encoding="utf-8")
        parts = [source] if file.match(FOOTER) else [match[2] for match in PARTS.finditer(source)]
        texts.update(text for part in parts for text in MARKED.findall(part))
    return texts


def edit_owner_texts(templates: Path) -> None:
    """Replace all marked texts, and write a footer without links."""
    for file in templates.rglob("*.html"):
        file.write_text(MARKED.sub("My text", file.read_text(encoding="utf-8")), encoding="utf-8")
    landing_page = templates / "home/home.html"
    source = landing_page.read_text(encoding="utf-8")
    landing_page.write_text(re.sub(r"(<h1[^>]*>).*?</h1>", r"\1My shop</h1>", source), encoding="utf-8")
    (templates / FOOTER).write_text("<footer>My shop</footer>\n", encoding="utf-8")
