from app.chat.models import Message, Role
from app.chat.prompt import SYSTEM_PROMPT, build_prompt
from opportune import llm
from opportune.llm import Answer

PLENTY = 10_000


def said(*texts: str) -> list[Message]:
    """Questions and answers in turn."""
    return [question(i, text) if i % 2 == 0 else answer(i, text) for i, text in enumerate(texts)]


def question(number: int, text: str) -> Message:
    return Message(id=number, conversation_id=1, role=Role.USER, question=text)


def answer(number: int, text: str) -> Message:
    return Message(id=number, conversation_id=1, role=Role.ASSISTANT, answer=Answer(text=text))


def test_the_prompt_is_the_system_then_the_history_then_the_question() -> None:
    messages = said("first", "answer", "second")
    sent = build_prompt(messages, messages[2], PLENTY)
    assert [(turn.role, turn.content) for turn in sent] == [
        ("system", SYSTEM_PROMPT),
        ("user", "first"),
        ("assistant", "answer"),
        ("user", "second"),
    ]


def test_the_oldest_turns_are_left_out_when_the_budget_is_short() -> None:
    messages = said("old " * 100, "old answer " * 100, "new", "new answer", "question")
    budget = llm.estimate_tokens(SYSTEM_PROMPT) + 30
    assert [turn.content for turn in build_prompt(messages, messages[4], budget)] == [
        SYSTEM_PROMPT,
        "new",
        "new answer",
        "question",
    ]


def test_an_answer_whose_question_did_not_fit_is_left_out() -> None:
    messages = said("long question " * 100, "short", "next")
    budget = llm.estimate_tokens(SYSTEM_PROMPT) + 20
    assert [turn.content for turn in build_prompt(messages, messages[2], budget)] == [SYSTEM_PROMPT, "next"]


def test_the_question_is_sent_whatever_it_weighs() -> None:
    (asked,) = said("weighty " * 1_000)
    assert build_prompt([asked], asked, budget=10)[-1].content == asked.text


def test_what_was_said_after_a_question_that_is_retried_is_not_sent() -> None:
    messages = said("first", "failed", "later", "later answer")
    assert [turn.content for turn in build_prompt(messages, messages[0], PLENTY)] == [SYSTEM_PROMPT, "first"]


def test_an_answer_without_text_is_not_sent() -> None:
    messages = said("first", "", "second")
    assert [turn.content for turn in build_prompt(messages, messages[2], PLENTY)] == [SYSTEM_PROMPT, "first", "second"]
