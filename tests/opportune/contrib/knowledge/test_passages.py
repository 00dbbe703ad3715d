"""Passages of a text."""

from hypothesis import given
from hypothesis import strategies as st

from opportune.contrib.knowledge.jobs import MAX_PASSAGE_LENGTH, split_text

SENTENCES = st.text(st.sampled_from("ab .!?\n"), max_size=4_000)


@given(SENTENCES)
def test_passages_are_the_text_in_order(text: str) -> None:
    passages = [*split_text(text)]
    assert text.startswith("".join(passages))
    assert not text.removeprefix("".join(passages)).strip()
    assert all(len(passage) <= MAX_PASSAGE_LENGTH for passage in passages)


def test_passage_ends_with_its_paragraph() -> None:
    paragraphs = [f"{'A sentence. ' * 40}\n\n", "The next one."]
    assert [*split_text("".join(paragraphs))] == paragraphs
