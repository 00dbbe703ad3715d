"""Files of a question, selected, pasted or dropped in Chromium."""

from fastapi import FastAPI
from playwright.async_api import FilePayload, Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.testing import picture, sign_in_browser

PUT = """(element, [kind, name]) => {
  const held = new DataTransfer();
  held.items.add(new File(["Some words."], name, { type: "text/plain" }));
  const how = kind === "paste" ? { clipboardData: held } : { dataTransfer: held };
  const event = new (kind === "paste" ? ClipboardEvent : DragEvent)(kind, { bubbles: true, cancelable: true, ...how });
  element.dispatchEvent(event);
}"""


async def test_files_are_selected_pasted_dropped_removed_and_sent(
    app: FastAPI, page: Page, site: str, user: User, fake_llm: FakeProvider
) -> None:
    await sign_in_browser(page, app, user, site)
    fake_llm.script, fake_llm.sees_images, fake_llm.context_budget = ["A cat."], True, 8_000
    cat = FilePayload(name="cat.png", mimeType="image/png", buffer=picture())
    await page.goto("/chat")
    question, listed = page.locator("#question"), page.locator("#attached li")
    await page.locator("#composer [type=file]").set_input_files([cat])
    await question.evaluate(PUT, ["paste", "pasted.txt"])
    await page.locator("body").evaluate(PUT, ["drop", "dropped.txt"])
    await expect(listed).to_have_text(["cat.png", "pasted.txt", "dropped.txt"])
    await page.get_by_label("Remove pasted.txt").press("Enter")
    await expect(page.get_by_label("Remove cat.png")).to_be_focused()
    await page.locator(".chat-options summary").click()
    await page.locator("[name=system_prompt]").fill("Be brief.")
    await question.fill("What is it?")
    await question.press("Enter")
    await expect(page.locator("article").last).to_contain_text("A cat.")
    await expect(page.locator("article img")).to_have_js_property("naturalWidth", 40)
    await expect(page.locator("article .attachments")).to_contain_text("dropped.txt")
    await expect(listed).to_have_count(0)

    await page.locator("#composer [type=file]").set_input_files([cat])
    await question.fill("And this?")
    await question.press("Enter")
    await expect(page.locator("article img")).to_have_count(2)
    await expect(listed).to_have_count(0)
    await expect(page.locator("article").nth(3)).to_contain_text("A cat.")
    assert [len(turn.pictures) for turn in fake_llm.received[-1]] == [0, 1, 0, 1]
    assert fake_llm.received[-1][0].content == "Be brief."
