"""Pages of conversations with 20, 50 and 2,000 messages.

    .venv/bin/python -m bench.features.chat.conversation [--rounds 15] [--only sqlite]

One site in this process serves the pages in turn. The results are medians of its processor time in milliseconds. A page
shows the newest 50 messages.
"""

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import uvloop
from httpx2 import AsyncClient

from bench.harness.client import fetch_page, site_client
from bench.harness.databases import NewUrl, migrate, run_on_databases
from bench.harness.options import BenchmarkParser, comma_separated_numbers
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.db import Database, utc_now
from opportune.testing import make_user, sign_in

MAX_RATIO = 1.3
"""Maximum ratio to the processor time of a full page."""
TEXT = "Waves break on the shore, and the *keeper* of the light counts `ships` that pass.\n\n- One\n- Two\n"

Times = dict[int, list[float]]


def main() -> int:
    if find_spec("app.chat") is None:
        print("The feature whose page is measured, the chat, is not installed.")
        return 0
    parser = BenchmarkParser(__doc__, 15)
    sizes = [20, 50, 2_000], [20, 50, 60]
    parser.add_size("lengths", *sizes, type=comma_separated_numbers, help="messages: few,a full page,many")
    return run_on_databases(parser, run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, _folder: Path) -> list[str]:
    url = new_url("conversations")
    migrate(url)
    return report(kind, uvloop.run(measure(url, options.lengths, options.rounds)))


async def measure(url: str, lengths: list[int], rounds: int) -> Times:
    """Return milliseconds by round and number of messages. A warm-up round is not counted."""
    times: Times = {length: [] for length in lengths}
    async with site_client(url) as (app, client):
        owner = await make_user(app.state.database)
        await sign_in(client, app, owner)
        paths = {length: f"/chat/{await add_conversation(app.state.database, owner.id, length)}" for length in lengths}
        for round_number in range(-1, rounds):
            for length in lengths if round_number % 2 else lengths[::-1]:
                milliseconds = await measure_page_ms(client, paths[length])
                if round_number >= 0:
                    times[length].append(milliseconds)
    return times


async def add_conversation(database: Database, owner_id: int, length: int) -> int:
    """Create a conversation with this many messages."""
    from app.chat.models import Conversation, Message, Role  # the feature may have been deleted

    async with database.writer() as session:
        conversation = Conversation(owner_id=owner_id, title=f"{length} messages")
        session.add(conversation)
        await session.flush()
        parent: int | None = None
        for number in range(length // 2):
            question = Message(
                conversation_id=conversation.id, parent_id=parent, role=Role.USER, question=f"And ship {number}?"
            )
            session.add(question)
            await session.flush()
            reply = Answer(
                owner_id=owner_id,
                topic=conversation.topic,
                text=f"{TEXT}{number}",
                status=AnswerStatus.DONE,
                finished_at=utc_now(),
            )
            answer = Message(conversation_id=conversation.id, parent_id=question.id, role=Role.ASSISTANT, answer=reply)
            session.add(answer)
            await session.flush()
            parent = answer.id
        conversation.leaf_id = parent
    return conversation.id


async def measure_page_ms(client: AsyncClient, path: str) -> float:
    started = time.process_time()
    await fetch_page(client, path, "And ship")
    return (time.process_time() - started) * 1000


def report(kind: str, times: Mapping[int, list[float]]) -> list[str]:
    """Print the table and return a line for each exceeded limit."""
    medians = {length: median(page_times) for length, page_times in times.items()}
    few, full, many = medians.values()
    print(
        f"\n{kind}: "
        + ", ".join(f"{length:,} messages {milliseconds:.1f} ms" for length, milliseconds in medians.items())
    )
    print(f"the longest beside the shortest {many / few:.2f} x, beside a full page {many / full:.2f} x")
    if many / full > MAX_RATIO:
        return [f"Too slow: a long conversation on {kind} is {many / full:.2f} x a full page (at most {MAX_RATIO})."]
    return []


if __name__ == "__main__":
    sys.exit(main())
