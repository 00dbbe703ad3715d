"""Reader of answers in OpenAI's format. It reads what it understands, and ignores the rest."""

import re
from collections.abc import Iterable, Sequence

from opportune.contrib.llm.providers import pieces, wrapped_choices
from opportune.contrib.llm.providers.error_reader import error_in, error_in_choice
from opportune.contrib.llm.providers.errors import failure_of
from opportune.contrib.llm.providers.events import END_OF_DOCUMENT, Event
from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.loose_json import key_in, object_in, objects_in, text_in
from opportune.contrib.llm.providers.mark_reader import MarkReader, PromptTemplate, Separated
from opportune.contrib.llm.providers.marks import CLOSING_LINES
from opportune.contrib.llm.providers.provider import INTERRUPTED, Done, LlmError, Reasoning, ToolSchema, not_a_model
from opportune.contrib.llm.providers.returned_fields import ReturnedFields
from opportune.contrib.llm.providers.token_counts import TokenCounts
from opportune.contrib.llm.providers.tool_calls import ToolCallReader

MAX_ANSWER_LENGTH = 200_000
"""Maximum number of characters, also of the reasoning."""
UNCOUNTED_FIELDS = frozenset(
    {"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier", "delta", "provider"}
    | {"index", "item_id", "output_index", "content_index", "sequence_number", "logprobs", "obfuscation"}
)
"""Fields of an event without token counts."""
THOUGHT_TAG = re.compile(r"\A\s*<think>\n?|\n?</think>\s*\Z")
"""Tags around a thought that has its own field."""
LENGTH_REASONS = re.compile(r"length|max_|context_window|truncat|(token|time|error)_limit|of_tokens|incomplete|^limit")


class ChatCompletionReader:
    """Reads the events of one answer."""

    def __init__(
        self, origin: str = "", tools: Sequence[ToolSchema] | None = None, template: PromptTemplate | None = None
    ) -> None:
        """Read an answer.

        Args:
            origin: Identifies endpoint and model, for fields that they need back.
            tools: Tools that were offered. None if they are unknown.
            template: Template of the model, which answers share.
        """
        self._content = GrowingText()  # as received, with reasoning between marks
        self._json = ""  # an answer without text
        self._thoughts: list[str] = []
        self._length = 0
        self._reasoning_length = 0
        schemas = None if tools is None else {tool.name: tool.parameters for tool in tools}
        self._marks = MarkReader(schemas, template)
        self._finish_reason = ""
        self._first_index = ""
        self._choice_index = ""  # of the first choice, if there are several. Only one answer is requested.
        self._usage = TokenCounts()
        self._calls = ToolCallReader(schemas or ())
        self._returned = ReturnedFields(origin)
        self._is_message = False  # the last piece was a whole message
        self._is_part = False  # the last event belongs to a stream
        self._has_choice = False
        self._has_text = False
        self._is_too_long = False
        self.is_over = False  # the remaining stream can be ignored

    @property
    def is_finished(self) -> bool:
        """True if only token counts can follow."""
        return self.is_over or bool(self._finish_reason)

    def read(self, event: Event) -> list[str | Reasoning]:
        """Return the reasoning and text added by one event.

        Raises:
            LlmError: The event reports an error.
        """
        name = event.name
        value = wrapped_choices.unwrap({"type": name, **event.value} if name else event.value)
        is_error = "error" in (name, value.get("type"))
        may_fail = value.get("error") or not value.get("choices") or is_error
        if may_fail and (error := error_in(value, is_error=is_error)):
            raise error
        others = value.keys() - UNCOUNTED_FIELDS
        is_over = name == "done" or (len(others) > 0 and wrapped_choices.ends_answer(value))
        if event.value:
            self._is_part = "done" in value
        reasoning = text = ""
        for choice in self._own_choices(value):
            self._is_part |= "delta" in choice
            self._has_choice = True
            if error := error_in_choice(choice):
                raise error
            added = self._add(pieces.read_piece(choice, is_last=is_over or name.endswith("completed")))
            reasoning += added.reasoning
            text += added.text
        self.is_over |= is_over
        self._is_message |= event is END_OF_DOCUMENT
        if event is END_OF_DOCUMENT and not self._has_choice:  # such as a list of models
            raise not_a_model()
        if others:
            self._usage.add({field: value[field] for field in others})
        if not text:
            return self._to_chunks(reasoning, "")
        separated = self._marks.feed(text)
        return self._to_chunks(reasoning + separated.reasoning, separated.text)

    def _own_choices(self, value: pieces.Fields) -> Iterable[pieces.Fields]:
        """Return the parts of the first choice. Some endpoints omit or change its index, or send no list."""
        choices = wrapped_choices.choices_of(value)
        if len(choices) == 1 and self._begins_second(choices[0]):
            self._choice_index = self._first_index
        if len(choices) <= 1 and not self._choice_index:
            return choices
        indexes = [key_in(choice.get("index")) or str(number) for number, choice in enumerate(choices)]
        self._choice_index = self._choice_index or indexes[0]
        return [
            choice
            for index, choice in zip(indexes, choices, strict=True)
            # Copilot has the text and the calls in two choices without indexes.
            if self._choice_index == index or ("index" not in choice and pieces.read_piece(choice).calls)
        ]

    def _begins_second(self, choice: pieces.Fields) -> bool:
        """Return whether a choice without others begins a second answer. Some endpoints number the parts of one."""
        index = key_in(choice.get("index"))
        delta = object_in(choice.get("delta"))
        self._first_index = self._first_index or index
        has_only_role = "role" in delta and not any(value for name, value in delta.items() if name != "role")
        return index not in ("", self._first_index) and (has_only_role or self._finish_reason != "")

    def _add(self, piece: pieces.Piece) -> Separated:
        """Return the reasoning and the text that a piece adds. The text may have marks."""
        self._finish_reason = piece.finish_reason or self._finish_reason
        self._is_message = piece.is_whole and not self._content.text
        content = piece.content
        reasoning = ""
        self._json = piece.json or self._json
        if piece.is_whole and not self._content.text and "</think>\n" in content and "<think>" not in content:
            content = f"<think>{content}"  # the prompt had the opening tag
        if not piece.fields.keys() <= pieces.TEXT_FIELDS:
            if "usage" in piece.fields:
                self._usage.add({"usage": piece.fields["usage"]})
            reasoning = self._returned.add(piece.fields, is_whole=piece.is_whole)
        for call in piece.calls:
            self._length += self._calls.add(call, is_whole=piece.is_whole)
        return Separated(reasoning, self._content.add(content, is_whole=piece.is_whole))

    def _to_chunks(self, reasoning: str, text: str) -> list[str | Reasoning]:
        reasoning = THOUGHT_TAG.sub("", reasoning) if "think>" in reasoning else reasoning
        reasoning = reasoning[: MAX_ANSWER_LENGTH - self._reasoning_length]
        text = text[: max(MAX_ANSWER_LENGTH - self._length, 0)]
        self._reasoning_length += len(reasoning)
        self._thoughts.append(reasoning)
        self._length += len(text)
        self._is_too_long = max(self._length, self._reasoning_length) >= MAX_ANSWER_LENGTH
        self.is_over |= self._is_too_long
        self._has_text = self._has_text or bool(text.strip())
        thoughts = [Reasoning(reasoning)] if reasoning else []
        return [*thoughts, text] if text else [*thoughts]

    @property
    def _is_truncated(self) -> bool:
        return self._is_too_long or bool(LENGTH_REASONS.search(self._finish_reason))

    def read_pending(self) -> list[str | Reasoning]:
        """Return text that was held back because it looked like the beginning of a mark."""
        if any(end in self._content.text for end in CLOSING_LINES) and "<think>" not in self._content.text:
            self._marks.template.opens_reasoning = True
        held = self._marks.feed(self._content.pending)
        last = self._marks.finish(is_cut=self._is_truncated)
        text = held.text + last.text
        if not (self._has_text or text or self._calls):
            self._marks.read_calls("".join(self._thoughts))
            text = self._json
        for number, call in enumerate(self._marks.calls):
            self._calls.add({"id": f"written_{number}", **call}, is_whole=True)
        return self._to_chunks(self._returned.pending() + held.reasoning + last.reasoning, text)

    def recover(self, report: str) -> bool:
        """Read the calls that Groq's endpoint reports with an error, because it cannot read them itself."""
        count = len(self._marks.calls)
        for item in objects_in(report):
            for error in objects_in(item.get("error")):
                self._marks.read_calls(text_in(error.get("failed_generation")))
        is_found = len(self._marks.calls) > count
        self._finish_reason = "tool_calls" if is_found else self._finish_reason
        return is_found

    def finish(self) -> Done:
        """Return the token counts and tool calls of the complete answer.

        Raises:
            LlmError: The answer was interrupted, was withheld, or is empty.
        """
        if not (self.is_finished or (self._is_message and not self._is_part)):
            raise LlmError("interrupted", INTERRUPTED)
        done = Done(
            **self._usage,
            truncated=self._is_truncated,
            tool_calls=self._returned.attach_to(self._calls.finish(is_cut=self._is_truncated)),
            returned=self._returned.of_message(),
        )
        has_reasoning = self._reasoning_length > 0
        if failure := failure_of(self._finish_reason, done, has_text=self._has_text, has_reasoning=has_reasoning):
            raise failure
        return done
