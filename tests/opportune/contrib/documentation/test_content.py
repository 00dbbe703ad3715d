"""Pages and sections of the documentation."""

import pytest

from opportune.contrib.documentation import content
from opportune.contrib.documentation.content import (
    Section,
    anchor_of,
    page_names,
    plain_text,
    sections_of,
    with_site_links,
)


def test_pages_in_folders_are_listed() -> None:
    assert {"tutorial", "deploy/render"} <= set(page_names())


@pytest.mark.parametrize("page", page_names())
def test_sections_have_distinct_addresses(page: str) -> None:
    sections = sections_of(page)
    assert sections[0].title
    assert len({section.slug for section in sections}) == len(sections)


def test_comment_in_code_is_no_heading() -> None:
    assert [*content._heading_flags(["# Title", "```sh", "# a comment", "```", "## Next"])] == [
        True,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("The data layer", "the-data-layer"), ("`opportune.db`", "opportunedb"), ("A & B, C", "a--b-c")],
)
def test_anchor_is_that_of_github(heading: str, anchor: str) -> None:
    assert anchor_of(heading) == anchor


def test_plain_text_has_no_markup() -> None:
    text = "See [jobs](jobs.md).\n\n| A | B |\n| --- | --- |\n| `x` | **y** |\n\n```sh\nls\n```"
    assert plain_text(text) == "See jobs. A B x y ls"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[jobs](jobs.md#schedules)", "[jobs](/docs/jobs#schedules)"),
        ("[host](deploy/render.md)", "[host](/docs/deploy/render)"),
        ("[here](#options)", "[here](#options)"),
        ("[site](https://example.com)", "[site](https://example.com)"),
        ("[file](../Dockerfile)", "file"),
        ("![A list](images/list.png)", "*A list*"),
    ],
)
def test_links_lead_to_the_site(link: str, expected: str) -> None:
    assert with_site_links(Section("crud", "CRUD", page="crud", markdown=link)) == expected


def test_links_from_a_subfolder_lead_to_the_site() -> None:
    section = Section("deploy/linux", "Linux", page="deploy/linux", markdown="[mail](../mail.md)")
    assert with_site_links(section) == "[mail](/docs/mail)"
