"""Events of AG-UI for a growing answer.

The package of the protocol is loaded with the first run, because its models take long to import.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from types import ModuleType
from typing import Any

from opportune.contrib.answers.engine.tool_runs import Run, is_waiting
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.errors import ServiceError
from opportune.i18n import gettext
from opportune.project.current import OPPMAN

JOB_PROGRESS = "JOB_PROGRESS"
"""Type of the activity with `done`, `total` and `note` of a job."""


class PackageMissing(ServiceError):
    """The optional packages are not installed."""

    service = "AG-UI"
    retryable = False
    advice = f"Install its packages: {OPPMAN} install ag-ui"

    def __init__(self) -> None:
        super().__init__(gettext("AG-UI is not installed on this site."))


@cache
def core() -> ModuleType:
    """Return the models of the protocol.

    Raises:
        PackageMissing: They are not installed.
    """
    if not find_spec("ag_ui"):
        raise PackageMissing
    from ag_ui import core

    return core


def encode(event: Any) -> bytes:
    """Return an event by the encoder of the package."""
    from ag_ui.encoder import EventEncoder

    return EventEncoder().encode(event).encode()


class RunEvents:
    """Yields the events of one run: each message, call and result once, in the order of the answer.

    A resumed run begins at the interrupted call. A repeated request begins at the start of its run.
    """

    def __init__(
        self, thread_id: str, run_id: str, answer_id: int, sent_calls: Sequence[Run] = (), first_call: int = 0
    ) -> None:
        """Begin a run, or resume one after the calls that an earlier run has sent.

        `first_call` is the index of the first call whose result belongs to this run.
        """
        self._models = core()
        self._ids = {"thread_id": thread_id, "run_id": run_id}
        self._answer_id = answer_id
        self._text_length: int = sent_calls[first_call]["at"] if sent_calls else 0
        self._call_count = len(sent_calls)
        self._sent_results = set(range(first_call))
        self._progress: dict[int, Any] = {}
        self._reasoning_length = 0
        self._was_interrupted = bool(sent_calls)
        self._message_id = ""
        """Id of the text message that has begun and not ended."""

    def start(self) -> Iterator[Any]:
        yield self._models.RunStartedEvent(**self._ids)
        yield self._models.CustomEvent(name="answer", value={"id": self._answer_id})

    def update(self, text: str, reasoning: str, calls: Sequence[Run]) -> Iterator[Any]:
        """Yield events for new reasoning, text, calls and results."""
        yield from self._emit_reasoning(reasoning)
        for _, group in groupby(enumerate(calls), key=lambda item: item[1]["round"]):
            turn = [*group]
            for index, call in turn:
                if index < self._call_count:
                    continue
                if call["at"] > len(text):
                    return  # the text before the call is not committed yet
                yield from self._emit_text(text[: call["at"]])
                yield from self._emit_call(index, call)
            for index, call in turn:
                yield from self._emit_progress(index, call)
                yield from self._emit_result(index, call)
        yield from self._emit_text(text)

    def finish(self, answer: Answer | None) -> Iterator[Any]:
        """Yield the last events of an answer that has ended, waits for the user, or was deleted (None)."""
        models = self._models
        if answer and not answer.is_running:
            yield from self.update(answer.text, answer.reasoning, answer.tool_runs)
        yield from self._emit_end_of_text()
        if answer is None:
            yield models.RunErrorEvent(message=gettext("This answer was deleted."), code="deleted")
        elif answer.status in (AnswerStatus.FAILED, AnswerStatus.INTERRUPTED):
            yield models.RunErrorEvent(message=gettext(answer.error), code=answer.error_code, usage=_usage(answer))
        else:
            if answer.sources:
                yield models.CustomEvent(name="sources", value=answer.sources)
            yield models.RunFinishedEvent(**self._ids, outcome=self._outcome(answer), usage=_usage(answer))

    def _outcome(self, answer: Answer) -> Any:
        models = self._models
        if answer.status == AnswerStatus.STOPPED:
            return models.RunFinishedCancelledOutcome()
        waiting = [index for index, call in enumerate(answer.tool_runs) if is_waiting(call)]
        if not answer.is_waiting or not waiting:
            return models.RunFinishedSuccessOutcome()
        return models.RunFinishedInterruptOutcome(interrupts=[self._interrupt(answer, index) for index in waiting])

    def _interrupt(self, answer: Answer, index: int) -> Any:
        call = answer.tool_runs[index]
        common = {
            "id": f"{answer.id}-{index}",
            "tool_call_id": self._call_id(index),
            "expires_at": answer.lease_until.isoformat() if answer.lease_until else None,
        }
        status = gettext(call["status"])
        if call.get("result_from") != "user":
            return self._models.Interrupt(**common, reason="approval_required", message=status)
        details = call.get("details")
        question = details[0][1] if details else status
        form = call.get("form")
        return self._models.Interrupt(**common, reason="input_required", message=question, response_schema=form)

    def _call_id(self, index: int) -> str:
        return f"{self._answer_id}-{index}"

    def _emit_call(self, index: int, call: Run) -> Iterator[Any]:
        call_id = self._call_id(index)
        yield from self._emit_end_of_text()
        yield self._models.ToolCallStartEvent(tool_call_id=call_id, tool_call_name=call["name"])
        yield self._models.ToolCallArgsEvent(tool_call_id=call_id, delta=call["arguments"] or "{}")
        yield self._models.ToolCallEndEvent(tool_call_id=call_id)
        self._call_count = index + 1

    def _emit_progress(self, index: int, call: Run) -> Iterator[Any]:
        """Emit the progress of the job of a call, if it has changed."""
        progress = call.get("progress")
        if not progress or call["result"] is not None or self._progress.get(index) == progress:
            return
        self._progress[index] = progress
        message_id = f"{self._call_id(index)}-progress"
        yield self._models.ActivitySnapshotEvent(message_id=message_id, activity_type=JOB_PROGRESS, content=progress)

    def _emit_result(self, index: int, call: Run) -> Iterator[Any]:
        if call["result"] is None or index in self._sent_results:
            return
        self._sent_results.add(index)
        call_id = self._call_id(index)
        yield self._models.ToolCallResultEvent(
            tool_call_id=call_id, message_id=f"{call_id}-result", content=call["result"]
        )

    def _emit_text(self, text: str) -> Iterator[Any]:
        """Emit the new end of the text."""
        if len(text) <= self._text_length:
            return
        if not self._message_id:
            self._message_id = f"{self._answer_id}-text-{self._text_length}"
            yield self._models.TextMessageStartEvent(message_id=self._message_id, role="assistant")
        yield self._models.TextMessageContentEvent(message_id=self._message_id, delta=text[self._text_length :])
        self._text_length = len(text)

    def _emit_end_of_text(self) -> Iterator[Any]:
        if self._message_id:
            yield self._models.TextMessageEndEvent(message_id=self._message_id)
            self._message_id = ""

    def _emit_reasoning(self, reasoning: str) -> Iterator[Any]:
        """Emit the new end of the reasoning."""
        if self._was_interrupted:  # an earlier run has sent this reasoning
            self._was_interrupted = False
            self._reasoning_length = len(reasoning)
        if delta := reasoning[self._reasoning_length :]:
            self._reasoning_length = len(reasoning)
            yield self._models.ReasoningMessageChunkEvent(message_id=f"{self._answer_id}-reasoning", delta=delta)


def _usage(answer: Answer) -> list[Any]:
    tokens = {"input_tokens": answer.prompt_tokens, "output_tokens": answer.completion_tokens}
    return [core().TokenUsage(model=answer.model or None, reasoning_tokens=answer.reasoning_tokens, **tokens)]
