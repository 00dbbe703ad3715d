"""Hook of MkDocs. It adds a reference page for each module of imports.md, fills llms.txt, and changes links."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import join, normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

IMPORTS = Path(__file__).with_name("imports.md")
SECTION = re.compile(r"^## `(opportune[\w.]*)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)
PAGE = """\
# `{module}`

::: {module}
    options:
      members: {names}
"""
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.[^)#]*)(#[^)]*)?\)")


def modules() -> dict[str, list[str]]:
    """Return the public names of each module."""
    sections = SECTION.findall(IMPORTS.read_text(encoding="utf-8"))
    return {module: re.findall(r"`(\w+)`", " ".join(NAMES.findall(text))) for module, text in sections}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference pages to the navigation and a menu of versions, and list all pages in llms.txt."""
    if "DOCS_VERSION" in os.environ:  # set by .ci/publish-docs, which writes versions.json
        config.extra["version"] = {"provider": "mike"}  # the format of that file
    sections: dict[str, Any] = {
        title: entries for entry in config.nav or [] if isinstance(entry, dict) for title, entries in entry.items()
    }
    sections["Reference"].append({"Modules": [f"reference/{module}.md" for module in modules()]})
    config.plugins["llmstxt"].config.sections = {title: list(pages_in(entries)) for title, entries in sections.items()}
    return config


def pages_in(entry: Any) -> Iterator[str]:
    """Yield the pages of an entry of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for child in entry.values() if isinstance(entry, dict) else entry:
            yield from pages_in(child)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Generate the reference pages."""
    for module, names in modules().items():
        content = PAGE.format(module=module, names=names)
        files.append(File.generated(config, f"reference/{module}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_options: Any) -> str:
    """Let links to files outside of docs/ lead to the repository."""

    def replace(match: re.Match[str]) -> str:
        path = normpath(join("docs", page.file.src_uri, "..", match[2]))
        if path.startswith("docs/"):
            return match[0]
        return f"[{match[1]}]({config.repo_url}/blob/main/{path}{match[3] or ''})"

    return LINK.sub(replace, markdown)
