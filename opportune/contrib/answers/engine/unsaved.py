"""Text of a running answer that is not saved."""

from collections.abc import Callable, Sequence
from time import monotonic

from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import NOT_STORED, STOPPED, AnswerDelta, Claim, Outcome

SAVE_TIMEOUT_SECONDS = 600.0
"""Seconds without a successful save after which an answer fails. Until then its text is kept in memory."""


class UnsavedAnswer:
    """Text of a running answer that is not confirmed to be committed."""

    def __init__(self, live: LiveAnswer, cut: Callable[[Outcome], None]) -> None:
        self.live = live
        self.cut = cut
        # Delta that is being saved or failed to be saved. Empty between saves.
        self._saving = AnswerDelta(live.id, live.progress.last_seq + 1, "")
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._saved_at = monotonic()

    @property
    def text(self) -> str:
        """The complete text of the answer, committed or not."""
        return "".join([self.live.text, self._saving.text, *self._text])

    @property
    def reasoning(self) -> str:
        """The complete reasoning, committed or not."""
        return "".join([self.live.reasoning, self._saving.reasoning, *self._reasoning])

    @property
    def has_new_text(self) -> bool:
        """True if text has arrived since the start of the last save."""
        return bool(self._text)

    def add(self, text: str, reasoning: str = "") -> None:
        self._text.append(text)
        self._reasoning.append(reasoning)

    def next_delta(self) -> AnswerDelta:
        """Return the delta to save next."""
        # Repeat a failed save unchanged. Possibly the chunk is stored and only the database's response was lost.
        if self._saving.is_empty:
            self._saving = self._new_delta(self._saving.seq)
            self._text = []
            self._reasoning = []
        return self._saving

    def uncommitted_deltas(self) -> Sequence[AnswerDelta]:
        """Return the delta that is being saved or failed to be saved, and the newer text."""
        delta = self.next_delta()
        return delta, self._new_delta(delta.seq + 1)

    def _new_delta(self, seq: int) -> AnswerDelta:
        return AnswerDelta(self.live.id, seq, "".join(self._text), "".join(self._reasoning))

    def confirm_save(self, claim: Claim) -> None:
        """Show the saved delta to viewers, and cut the answer if the worker may not continue it."""
        if claim != Claim.LOST:
            saved = self._saving
            next_seq = saved.seq if saved.is_empty else saved.seq + 1
            self._saving = AnswerDelta(self.live.id, next_seq, "")
            self.live.add(saved.text, saved.reasoning)
            self._saved_at = monotonic()
        if claim != Claim.OWNED:
            self.cut(STOPPED)

    def fail_if_overdue(self) -> None:
        """Cut the answer if it could not be saved for too long."""
        if monotonic() - self._saved_at > SAVE_TIMEOUT_SECONDS:
            self.cut(NOT_STORED)
