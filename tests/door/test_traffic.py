"""Who gives way waits while requests are under way, and never for long."""

from __future__ import annotations

import threading
import time

from ec2gw.door import traffic


def test_nobody_waits_where_nobody_asks() -> None:
    road = traffic.Traffic()
    began = time.monotonic()
    for _ in range(100):
        road.give_way()
    assert time.monotonic() - began < traffic.MOST_WAY


def test_who_gives_way_goes_on_when_the_request_is_answered() -> None:
    road = traffic.Traffic()
    passed = threading.Event()

    def pass_by() -> None:
        road.give_way()
        passed.set()

    with road:
        waiting = threading.Thread(target=pass_by)
        waiting.start()
        assert not passed.wait(traffic.MOST_WAY / 2)
    waiting.join()
    assert passed.is_set()


def test_who_gives_way_goes_on_in_the_end_however_many_ask() -> None:
    road = traffic.Traffic()
    with road:
        began = time.monotonic()
        road.give_way()
        assert time.monotonic() - began >= traffic.MOST_WAY


def test_a_request_that_fails_is_over() -> None:
    road = traffic.Traffic()
    try:
        with road:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    time.sleep(traffic.LULL)
    began = time.monotonic()
    road.give_way()
    assert time.monotonic() - began < traffic.MOST_WAY
