"""Who may start now, on a loop whose turns are counted."""

import asyncio

from spanbridge.helpers.hosts.starts import Place, Starts


async def started(limit: int, comers: int, free: bool) -> list[tuple[int, int]]:
    """Who had a place, and in which turn of the loop, once nobody can have one any more. `free`: it is given back."""
    loop = asyncio.get_running_loop()
    starts = Starts(loop, limit, 1.0)
    turn = 0
    found: list[tuple[int, int]] = []
    places: list[Place] = []

    async def come(number: int) -> None:
        place = await starts.place()
        found.append((number, turn))
        places.append(place)
        if free:
            place.free()

    tasks = [asyncio.ensure_future(come(number)) for number in range(comers)]
    for _ in range(10 * comers):
        await asyncio.sleep(0)
        turn += 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for place in places:
        place.free()
    return found


def test_one_in_a_turn_and_in_order() -> None:
    """To start a program takes milliseconds, in which nobody else is served."""
    found = asyncio.run(started(16, 10, free=False))
    assert [number for number, _ in found] == list(range(10))
    turns = [turn for _, turn in found]
    assert len(set(turns)) == len(turns)


def test_as_many_as_there_are_places_and_the_rest_as_they_are_given_back() -> None:
    assert [number for number, _ in asyncio.run(started(3, 10, free=False))] == [0, 1, 2]
    assert [number for number, _ in asyncio.run(started(3, 10, free=True))] == list(range(10))
