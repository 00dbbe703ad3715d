"""Contrast checks of many similar texts."""

from playwright.async_api import Browser

from opportune.testing.services.accessibility import find_violations

PAGE = """<!doctype html><html lang="en"><title>Rows</title><main><h1>Rows</h1>
<style>body { background: #fff; color: #000 } [data-bs-theme=dark] body { background: #000; color: #fff }
.dim { color: #999 } .pale { background: #ddd }</style><div>ROWS</div></main></html>"""
FOLLOW_COLOUR_SCHEME = """() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  dark.addEventListener("change", follow);
  follow();
}"""
ROW = "<p>A row</p>"


async def test_unreadable_row_is_reported(chromium: Browser) -> None:
    async with await chromium.new_context() as context:
        page = await context.new_page()
        for row, themes in (
            (ROW, set()),
            ('<p class="dim">A row</p>', {"light"}),
            ('<div class="pale"><p>A row</p></div>', {"dark"}),
            ('<p style="opacity: .4">A row</p>', {"light", "dark"}),
        ):
            await page.set_content(PAGE.replace("ROWS", ROW * 2 + row + ROW))
            await page.evaluate(FOLLOW_COLOUR_SCHEME)
            violations = await find_violations(page)
            assert {text.partition(":")[0] for text in violations} == themes
            assert len(violations) == len(themes), "once in each colour scheme"
