"""Who leaves for whom, where all places are taken (bridge/helpers/places.py)."""

from spanbridge.helpers.life import QUEUED, STARTING, Life
from spanbridge.helpers.places import Places
from spanbridge.helpers.roster import Roster
from spanbridge.log import Log
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

FULL = Problem(INTERNAL_ERROR, "full")


class Guest:
    idle = True
    roster: Roster

    def __init__(self) -> None:
        self.life = Life(lambda *told: None)

    def end(self, problem: Problem) -> None:
        self.life.move("end")


def waits(places: Places, guests: list[Guest]) -> Guest:
    """One more, where there is one place."""
    guest = Guest()
    places.promise(places.leaver(guests, "helpers", 1, FULL, kind="helpers"), guest)
    guests.append(guest)
    return guest


def test_who_waits_for_one_that_waits_and_is_dismissed() -> None:
    """That one never had the place: it is still the first one's."""
    places = Places(Log())
    first = Guest()
    first.life.move("room")
    first.end(FULL)
    guests = [first]
    dismissed = waits(places, guests)
    dismissed.end(FULL)
    assert places.taken(guests) == 1
    last = waits(places, guests)
    guests.remove(dismissed)
    places.free(dismissed)
    assert last.life.state == QUEUED
    assert places.taken(guests) == 1
    guests.remove(first)
    places.free(first)
    assert last.life.state == STARTING
    assert places.taken(guests) == 1
