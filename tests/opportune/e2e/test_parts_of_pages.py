"""Selection of pages whose parts are not on another page."""

import pytest

from tests.opportune.e2e.parts_of_pages import RenderMode, select_pages

FORM = """<body><main class="page"><h1>Book</h1><h2>New</h2><form method="post" action="/books">
<label for="title">Title</label><input type="text" autocomplete="off" id="title" name="title" value="">
<p class="hint">Any.</p>
<a href="/" aria-label="Back to books"><i class="ti ti-back"></i>Back</a></form></main></body>"""
FORM_AND_LINK = FORM.replace("</main>", '<nav aria-label="More"><a href="/more">More</a></nav></main>')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Book</h1>", "Team</h1>"),
        ('id="title" name="title" value=""', 'id="title" name="name" value="Emma" maxlength="9"'),
        ("ti-back", "ti-home"),
        ('href="/"', 'href="/teams"'),
        ('action="/books"', 'action="/teams"'),
        ('class="hint"', 'class="hint mb-0 text-end"'),
        ('<p class="hint">Any.</p>', '<div class="card-body"><p class="hint">Any.</p></div>'),
        ('type="text"', 'type="email"'),
    ],
)
def test_text_icons_and_positions_do_not_change_key(old: str, new: str) -> None:
    assert old in FORM
    assert select_pages({"same": FORM.replace(old, new), "more": FORM_AND_LINK}) == {"more": RenderMode.ALONE}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('class="hint"', 'class="hint pale"'),
        ('class="hint"', 'class="hint fs-1"'),  # large text may have less contrast
        ('class="page"', 'class="page dark"'),
        ('type="text"', 'type="date"'),
        ('autocomplete="off"', 'autocomplete="odd"'),
        ('<p class="hint">Any.</p>', '<div class="hint">Any.</div>'),
        ('<p class="hint">Any.</p>', '<div class="dark"><p class="hint">Any.</p></div>'),
        ('for="title"', 'for="name"'),
        ('id="title"', 'id="name"'),
        ('<p class="hint">', '<p class="hint" id="title">'),
        ('<p class="hint">', '<p class="hint" style="opacity: .1">'),
        ("<h2>New</h2>", "<h3>New</h3>"),
        ("Back</a>", "Home</a>"),
        ("Back</a>", "</a>"),
        ("Book</h1>", "<i></i></h1>"),
        ('aria-label="Back to books"', 'aria-label=""'),
        ("</main>", "</main><main></main>"),
    ],
)
def test_different_look_or_role_changes_key(old: str, new: str) -> None:
    assert old in FORM
    other = FORM.replace(old, new)
    assert [*select_pages({"other": other, "more": FORM_AND_LINK})] == ["more", "other"]


@pytest.mark.parametrize(
    ("old", "new", "mode"),
    [
        ('class="hint"', 'class="hint pale"', RenderMode.TOGETHER),
        ('<p class="hint">Any.</p>', '<div class="dark"><p class="hint">Any.</p></div>', RenderMode.TOGETHER),
        ('type="text"', 'type="date"', RenderMode.ALONE),
        ('type="text"', 'type="text" data-role="date"', RenderMode.LOADED),
        ("<h2>New</h2>", "<h3>New</h3>", RenderMode.ALONE),
    ],
)
def test_colours_and_script_changes_are_sampled(old: str, new: str, mode: RenderMode) -> None:
    assert select_pages({"other": FORM.replace(old, new), "more": FORM_AND_LINK})["other"] is mode
