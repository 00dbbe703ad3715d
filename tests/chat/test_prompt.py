from app.chat.models import Message, Role
from app.chat.prompt import SYSTEM_PROMPT, build_prompt
from opportune import llm
from opportune.llm import Answer, AnswerAttachment

PLENTY = 10_000


def sent_of(messages: list[Message], question: Message, budget: int = PLENTY) -> list[llm.Message]:
    return build_prompt(messages, question, budget)[0]


def messages_of(*texts: str) -> list[Message]:
    """Return questions and answers in turn."""
    return [question(i, text) if i % 2 == 0 else answer(i, text) for i, text in enumerate(texts)]


def question(number: int, text: str) -> Message:
    return Message(id=number, conversation_id=1, role=Role.USER, question=text)


def answer(number: int, text: str) -> Message:
    return Message(id=number, conversation_id=1, role=Role.ASSISTANT, answer=Answer(text=text))


def test_prompt_order() -> None:
    messages = messages_of("first", "answer", "second")
    sent = sent_of(messages, messages[2])
    assert [(turn.role, turn.content) for turn in sent] == [
        ("system", SYSTEM_PROMPT),
        ("user", "first"),
        ("assistant", "answer"),
        ("user", "second"),
    ]


def test_oldest_turns_are_dropped() -> None:
    messages = messages_of("old " * 100, "old answer " * 100, "new", "new answer", "question")
    budget = llm.estimate_tokens(SYSTEM_PROMPT) + 30
    assert [turn.content for turn in sent_of(messages, messages[4], budget)] == [
        SYSTEM_PROMPT,
        "new",
        "new answer",
        "question",
    ]


def test_answer_without_its_question_is_dropped() -> None:
    messages = messages_of("long question " * 100, "short", "next")
    budget = llm.estimate_tokens(SYSTEM_PROMPT) + 20
    assert [turn.content for turn in sent_of(messages, messages[2], budget)] == [SYSTEM_PROMPT, "next"]


def test_question_is_always_sent() -> None:
    (question,) = messages_of("weighty " * 1_000)
    assert sent_of([question], question, budget=10)[-1].content == question.text


def test_prompt_of_a_retry_omits_later_messages() -> None:
    messages = messages_of("first", "failed", "later", "later answer")
    assert [turn.content for turn in sent_of(messages, messages[0])] == [SYSTEM_PROMPT, "first"]


def test_empty_answer_is_not_sent() -> None:
    messages = messages_of("first", "", "second")
    assert [turn.content for turn in sent_of(messages, messages[2])] == [SYSTEM_PROMPT, "first", "second"]


def test_what_does_not_fit_is_said() -> None:
    messages = messages_of("old " * 100, "old answer " * 100, "new", "new answer", "question")
    budget = llm.estimate_tokens(SYSTEM_PROMPT) + 30
    words = "2 earlier messages were left out, because this model cannot read more."
    assert build_prompt(messages, messages[4], budget)[1] == words
    assert build_prompt(messages[2:], messages[4], budget)[1] == ""
    messages[0].attachment_ids = messages[4].attachment_ids = [7]
    long = "word " * 400
    file = AnswerAttachment(filename="a.txt", content_type="text/plain", size_bytes=1, stored_as="", text=long)
    sent, omitted = build_prompt(messages[4:], messages[4], budget + 200, files={7: file})
    assert (len(sent), "% of a.txt fit" in omitted) == (2, True)
    sent, omitted = build_prompt(messages[:1], messages[3], budget + 200, system="Rhyme.", files={7: file})
    assert (sent[0].content, len(sent), "% of a.txt fit" in omitted) == ("Rhyme.", 3, True)
