"""Events of AG-UI for a growing answer.

The package of the protocol is loaded with the first run, because its models take a third of a second.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from opportune.contrib.answers.engine.tool_runs import Run, is_waiting
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.errors import ServiceError
from opportune.i18n import gettext

JOB_PROGRESS = "JOB_PROGRESS"
"""Type of the activity with `done`, `total` and `note` of a job."""


class PackageMissing(ServiceError):
    """The optional packages are not installed."""

    service = "AG-UI"
    retryable = False
    advice = "Install its packages: python3 oppman.py install ag-ui"

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

    def __init__(self, run: Any, answer_id: int, runs: Sequence[Run] = (), first_call: int = 0) -> None:
        """Args:
        run: The `RunAgentInput`.
        answer_id: Id of the answer.
        runs: Tool calls that an earlier run has sent.
        first_call: Index of the first call whose result belongs to this run.
        """
        self._models = core()
        self._ids = {"thread_id": run.thread_id, "run_id": run.run_id}
        self._answer_id = answer_id
        self._offset: int = runs[first_call]["at"] if runs else 0
        self._calls = len(runs)
        self._sent_results = set(range(first_call))
        self._progress: dict[int, Any] = {}
        self._reasoning_length = 0
        self._was_interrupted = bool(runs)
        self._message_id = ""

    def start(self) -> Iterator[Any]:
        yield self._models.RunStartedEvent(**self._ids)
        yield self._models.CustomEvent(name="answer", value={"id": self._answer_id})

    def update(self, text: str, reasoning: str, runs: Sequence[Run]) -> Iterator[Any]:
        """Yield events for new reasoning, text, calls and results."""
        yield from self._reasoning(reasoning)
        for index, run in enumerate(runs[self._calls :], self._calls):
            if run["at"] > len(text):
                return  # the text before the call is not committed yet
            yield from self._text(text[: run["at"]])
            yield from self._call(index, run)
        for index, run in enumerate(runs):
            yield from self._result(index, run)
        yield from self._text(text)

    def finish(self, answer: Answer | None) -> Iterator[Any]:
        """Yield the last events of an answer that has ended, waits for the user, or was deleted (None)."""
        models = self._models
        if answer and not answer.is_running:
            yield from self.update(answer.text, answer.reasoning, answer.tool_runs)
        yield from self._end_text()
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
        waiting = [index for index, run in enumerate(answer.tool_runs) if is_waiting(run)]
        if not answer.is_waiting or not waiting:
            return models.RunFinishedSuccessOutcome()
        return models.RunFinishedInterruptOutcome(interrupts=[self._interrupt(answer, index) for index in waiting])

    def _interrupt(self, answer: Answer, index: int) -> Any:
        run = answer.tool_runs[index]
        is_question = run.get("result_from") == "user"
        return self._models.Interrupt(
            id=f"{answer.id}-{index}",
            reason="input_required" if is_question else "approval_required",
            message=run["details"][0][1] if is_question and run.get("details") else gettext(run["status"]),
            tool_call_id=self._call_id(index),
            response_schema=run.get("form") if is_question else None,
            expires_at=answer.lease_until.isoformat() if answer.lease_until else None,
        )

    def _call_id(self, index: int) -> str:
        return f"{self._answer_id}-{index}"

    def _call(self, index: int, run: Run) -> Iterator[Any]:
        models, call_id = self._models, self._call_id(index)
        yield from self._end_text()
        yield models.ToolCallStartEvent(tool_call_id=call_id, tool_call_name=run["name"])
        yield models.ToolCallArgsEvent(tool_call_id=call_id, delta=run["arguments"] or "{}")
        yield models.ToolCallEndEvent(tool_call_id=call_id)
        self._calls = index + 1

    def _result(self, index: int, run: Run) -> Iterator[Any]:
        models, progress = self._models, run.get("progress")
        if progress and run["result"] is None and self._progress.get(index) != progress:
            self._progress[index] = progress
            activity_id = f"{self._call_id(index)}-progress"
            yield models.ActivitySnapshotEvent(message_id=activity_id, activity_type=JOB_PROGRESS, content=progress)
        if run["result"] is not None and index not in self._sent_results:
            self._sent_results.add(index)
            result = {"message_id": f"{self._call_id(index)}-result", "content": run["result"]}
            yield models.ToolCallResultEvent(tool_call_id=self._call_id(index), **result)

    def _text(self, text: str) -> Iterator[Any]:
        if len(text) <= self._offset:
            return
        if not self._message_id:
            self._message_id = f"{self._answer_id}-text-{self._offset}"
            yield self._models.TextMessageStartEvent(message_id=self._message_id, role="assistant")
        yield self._models.TextMessageContentEvent(message_id=self._message_id, delta=text[self._offset :])
        self._offset = len(text)

    def _reasoning(self, reasoning: str) -> Iterator[Any]:
        if self._was_interrupted:  # an earlier run has sent this reasoning
            self._was_interrupted = False
            self._reasoning_length = len(reasoning)
        if delta := reasoning[self._reasoning_length :]:
            self._reasoning_length = len(reasoning)
            yield self._models.ReasoningMessageChunkEvent(message_id=f"{self._answer_id}-reasoning", delta=delta)

    def _end_text(self) -> Iterator[Any]:
        if self._message_id:
            yield self._models.TextMessageEndEvent(message_id=self._message_id)
            self._message_id = ""


def _usage(answer: Answer) -> list[Any]:
    tokens = {"input_tokens": answer.prompt_tokens, "output_tokens": answer.completion_tokens}
    return [core().TokenUsage(model=answer.model or None, reasoning_tokens=answer.reasoning_tokens, **tokens)]
