import asyncio

from opportune.web.turns import Turns
from tests.opportune.loop_turns import TIMEOUT_SECONDS, growth_in_each_turn

AT_ONCE = 4
MANY = 3 * AT_ONCE


def begin(turns: Turns, gone_on: list[int]) -> list[asyncio.Task[None]]:
    async def wait(number: int) -> None:
        await turns.wait()
        gone_on.append(number)

    return [asyncio.create_task(wait(number)) for number in range(MANY)]


async def test_a_few_go_on_in_each_turn_of_the_loop_in_the_order_of_their_coming() -> None:
    gone_on = list[int]()
    waiting = begin(Turns(AT_ONCE), gone_on)
    assert max(await growth_in_each_turn(gone_on, MANY)) == AT_ONCE
    assert gone_on == [*range(MANY)]
    await asyncio.gather(*waiting)


async def test_one_that_has_been_cancelled_takes_nobodys_turn() -> None:
    gone_on = list[int]()
    waiting = begin(Turns(AT_ONCE), gone_on)
    await asyncio.sleep(0)
    for each in waiting[AT_ONCE:-1]:
        each.cancel()
    await growth_in_each_turn(gone_on, AT_ONCE + 1)
    assert gone_on == [*range(AT_ONCE), MANY - 1]


def test_a_loop_that_ended_while_some_waited_leaves_nothing_behind() -> None:
    turns, gone_on = Turns(AT_ONCE), list[int]()

    async def end_at_once() -> None:
        begin(turns, [])
        await asyncio.sleep(0)

    async def wait_for_all() -> None:
        await asyncio.gather(*begin(turns, gone_on))

    asyncio.run(end_at_once())
    asyncio.run(asyncio.wait_for(wait_for_all(), TIMEOUT_SECONDS))
    assert gone_on == [*range(MANY)]
