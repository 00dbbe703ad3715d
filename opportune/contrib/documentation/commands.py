"""Show or search the documentation.

`docs` lists the pages, `docs crud` shows a page, and `docs foreign key` searches all pages.
"""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from opportune.cli.loop import open_event_loop
from opportune.cli.output import print_table
from opportune.config.settings import Settings
from opportune.contrib.documentation.content import page_names, sections_of
from opportune.contrib.documentation.search import Documentation, SectionHit
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.search.query import MAX_QUERY_LENGTH

MAX_RESULTS = 15


def command(
    words: Annotated[
        list[str] | None, typer.Argument(help="Name of a page, or words to search for.", show_default=False)
    ] = None,
) -> None:
    query = " ".join(words or [])
    name = query.removeprefix("docs/").removesuffix(".md")
    if not query:
        print_table(("Page", "Title"), [(page, sections_of(page)[0].title) for page in page_names()])
    elif name in page_names():
        show_page(name)
    else:
        search(query[:MAX_QUERY_LENGTH])


def show_page(name: str) -> None:
    """Print a page: formatted on a terminal, otherwise as Markdown."""
    text = "\n".join(section.markdown for section in sections_of(name))
    if sys.stdout.isatty():
        Console().print(Markdown(text))
    else:
        print(text)


def search(query: str) -> None:
    """Print the sections that match the words."""
    with open_event_loop() as loop:
        hits = loop.run(find_sections(query))
    if not hits:
        raise OperatorError(f"Nothing in the documentation matches {query!r}. List the pages: {OPPMAN} docs")
    print_table(("Page", "Section"), [(hit.page, hit.name) for hit in hits])
    print(f"Show a page: {OPPMAN} docs {hits[0].page}")


async def find_sections(query: str) -> list[SectionHit]:
    documentation = Documentation(Settings())
    try:
        index = await documentation.search()
        return list((await index.find(query, limit=MAX_RESULTS)).items)
    finally:
        await documentation.close()
