"""Files of a question, selected, pasted or dropped in Chromium."""

from playwright.async_api import FilePayload, Page, expect

from opportune.contrib.llm import FakeProvider
from opportune.testing import picture

PUT = """(element, [kind, name]) => {
  const held = new DataTransfer();
  held.items.add(new File(["Some words."], name, { type: "text/plain" }));
  const how = kind === "paste" ? { clipboardData: held } : { dataTransfer: held };
  const event = new (kind === "paste" ? ClipboardEvent : DragEvent)(kind, { bubbles: true, cancelable: true, ...how });
  element.dispatchEvent(event);
}"""


async def test_files_are_selected_pasted_dropped_removed_and_sent(chat_page: Page, fake_llm: FakeProvider) -> None:
    fake_llm.script, fake_llm.sees_images, fake_llm.context_budget = ["A cat."], True, 8_000
    cat = FilePayload(name="cat.png", mimeType="image/png", buffer=picture())
    question, listed = chat_page.locator("#question"), chat_page.locator("#attached li")
    await chat_page.locator("#composer [type=file]").set_input_files([cat])
    await question.evaluate(PUT, ["paste", "pasted.txt"])
    await chat_page.locator("body").evaluate(PUT, ["drop", "dropped.txt"])
    await expect(listed).to_have_text(["cat.png", "pasted.txt", "dropped.txt"])
    await chat_page.get_by_label("Remove pasted.txt").press("Enter")
    await expect(chat_page.get_by_label("Remove cat.png")).to_be_focused()
    await chat_page.locator(".chat-options summary").click()
    await chat_page.locator("[name=system_prompt]").fill("Be brief.")
    await question.fill("What is it?")
    await question.press("Enter")
    await expect(chat_page.locator("article").last).to_contain_text("A cat.")
    await expect(chat_page.locator("article img")).to_have_js_property("naturalWidth", 40)
    await expect(chat_page.locator("article .attachments")).to_contain_text("dropped.txt")
    await expect(listed).to_have_count(0)

    await chat_page.locator("#composer [type=file]").set_input_files([cat])
    await question.fill("And this?")
    await question.press("Enter")
    await expect(chat_page.locator("article img")).to_have_count(2)
    await expect(listed).to_have_count(0)
    await expect(chat_page.locator("article").nth(3)).to_contain_text("A cat.")
    assert [len(turn.pictures) for turn in fake_llm.received[-1]] == [0, 1, 0, 1]
    assert fake_llm.received[-1][0].content == "Be brief."
