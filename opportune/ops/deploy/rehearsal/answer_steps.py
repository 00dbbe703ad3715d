"""An answer of a language model in a stream that the host cuts, and while a new version takes over."""

import asyncio

from opportune.ops.deploy.rehearsal.fakes import model_answer
from opportune.ops.deploy.rehearsal.process import POLL_SECONDS, Instance
from opportune.ops.deploy.rehearsal.rules import WORD_COUNT
from opportune.ops.deploy.rehearsal.stage import Stage, StepFailed, StepLeftOut, running
from opportune.ops.deploy.rehearsal.streams import StreamedAnswer, read_answer
from opportune.runtime.counts import counted


async def stream(stage: Stage) -> str:
    """An answer of a language model, in a stream that the host cuts."""
    answer, path, wanted = await _asked(stage)
    await read_answer(stage.visitor.client, path, answer, stage.rules.answer_seconds)
    require_whole(answer, wanted)
    cuts = answer.connections - 1
    times = f"was cut {counted(cuts, 'time')} and went on where it was" if cuts else "came in one piece"
    return f"{len(wanted.split())} words; it {times}"


async def _asked(stage: Stage) -> tuple[StreamedAnswer, str, str]:
    """A question that the site has taken: where its answer streams, and what it is to be.

    Raises:
        StepLeftOut: no address of the site answers with a stream's.
        StepFailed: it refuses.
    """
    if stage.asking is None:
        raise StepLeftOut("no address of this site answers a question with a stream (202 with a stream_url)")
    body = dict.fromkeys(stage.asking.fields, f"Rehearsal: say {WORD_COUNT} words.")
    headers = {"Origin": stage.base_url, "Accept": "application/json"}
    response = await stage.visitor.client.post(stage.asking.path, json=body, headers=headers)
    if response.status_code != 202:
        words = f"{stage.asking.path} is answered {response.status_code} {response.text[:200]}"
        raise StepFailed(words, "see the log (--keep), and docs/llm.md")
    return StreamedAnswer(), response.json()["stream_url"], model_answer(WORD_COUNT)


def require_whole(answer: StreamedAnswer, wanted: str) -> None:
    came = len(answer.text.split())
    if answer.end == "done" and answer.text.strip() == wanted:
        return
    if not answer.end:
        raise StepFailed(
            f"the stream ended after {came} of {len(wanted.split())} words and {answer.connections} connections, "
            f"without `done`{f' ({answer.refusal})' if answer.refusal else ''}",
            "give every event an id, and go on from Last-Event-ID: `answers.ask` does both (docs/llm-pages.md)",
        )
    said = str(answer.said.get("message") or answer.said.get("error") or "")[:200]
    raise StepFailed(
        f"{came} of {len(wanted.split())} words came, then `{answer.end}` {said}".strip(),
        "a stream that is cut must go on where it was: `answers.ask` stores it while it grows (docs/llm-pages.md)",
    )


async def redeploy(stage: Stage) -> str:
    """A new version while an answer is being written: the old process gets its signal and its grace."""
    old = running(stage)
    stage.launcher.deploy_beside()
    new = await stage.start()
    if stage.loses_rows:
        return f"{_stop_described(stage, await _replaced(stage, old, new))}; its rows on SQLite went with its disk"
    try:
        asked = await _asked(stage)
    except StepLeftOut:
        took = await _replaced(stage, old, new)
        return f"{_stop_described(stage, took)}; no answer was on its way, as this site has none"
    answer, path, wanted = asked
    reading = asyncio.create_task(read_answer(stage.visitor.client, path, answer, stage.rules.answer_seconds))
    try:
        async with asyncio.timeout(stage.rules.answer_seconds):
            while not (answer.text or reading.done()):  # noqa: ASYNC110 - it is read word by word
                await asyncio.sleep(POLL_SECONDS)
        took = await _replaced(stage, old, new)
        await reading
    finally:
        reading.cancel()
    require_whole(answer, wanted)
    whole = f"the answer that was being written is whole, after {counted(answer.connections, 'connection')}"
    return f"{_stop_described(stage, took)}; {whole}"


async def _replaced(stage: Stage, old: Instance, new: Instance) -> float:
    """Send visitors to the new process and end the old one; return the seconds that this took."""
    stage.instance, stage.router.site_port = new, new.port
    took = await old.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
    require_ended(stage, old, took)
    return took


def _stop_described(stage: Stage, seconds: float) -> str:
    return f"the old process ended {seconds:.1f} s after {stage.rules.host.stop_signal}"


def require_ended(stage: Stage, instance: Instance, seconds: float) -> None:
    """Complain of a process that had to be killed, where the host gives any time at all."""
    if instance.was_killed and stage.rules.stop_seconds:
        raise StepFailed(
            f"the old process was still there {seconds:.1f} s after {stage.rules.host.stop_signal}, and was killed",
            "end what runs when `shutting_down(app)` is set, and set ANSWER_GRACE_SECONDS below what the host gives",
        )
