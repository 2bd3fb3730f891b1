"""Trials: a clock that shows what all turns would take, though few are made."""

from collections.abc import Callable

from pig.system.progress import bar, track
from pig.system.trial import LEAST, on_trial, tried, turns


class Watch:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def spent(work: Callable[[Watch], None], pairs: float = 1.0) -> tuple[float, float]:
    """What the trial's clock shows after some work, and what the watch does."""
    watch = Watch()
    with on_trial(0, pairs, watch) as trial:
        work(watch)
        return trial.now(), watch.seconds


def test_outside_a_trial_all_turns_are_made() -> None:
    assert not tried()
    assert [*turns(range(10), 10)] == [*bar(range(10), "x", 10)] == [*track(range(10), "x", 10)] == [*range(10)]


def test_a_loop_is_cut_and_its_slow_first_turn_does_not_count() -> None:
    made = []

    def work(watch: Watch) -> None:
        watch.seconds += 5
        for i in bar(range(100), "steps", 100):
            watch.seconds += (50, 2, 4)[i]
            made.append(i)

    told, really = spent(work)
    assert made == [*range(LEAST)]
    assert really == 5 + 50 + 2 + 4
    assert told == 5 + 100 * 3


def test_turns_of_an_outer_loop_have_all_turns_of_the_inner_one() -> None:
    def work(watch: Watch) -> None:
        for _ in track(range(7), "batches", 7):
            watch.seconds += 3
            for _ in turns(range(20), 20):
                watch.seconds += 1

    assert spent(work)[0] == 7 * (3 + 20)


def test_a_loop_of_fewer_turns_than_are_tried_is_made_whole() -> None:
    def work(watch: Watch) -> None:
        for _ in turns([0], 1):
            watch.seconds += 4
        for _ in turns([], 0):
            raise AssertionError

    assert spent(work) == (4, 4)


def test_loops_over_pairs_alone_grow_with_them() -> None:
    def work(watch: Watch) -> None:
        for _ in track(range(10), "encoding", 10):
            watch.seconds += 1
        for _ in bar(range(10), "steps", 10):
            watch.seconds += 2

    assert spent(work, pairs=2.5)[0] == 25 + 20


def test_the_slowest_turn_is_without_the_loops_in_it() -> None:
    watch = Watch()
    with on_trial(0, 1.0, watch) as trial:
        for _ in track(range(5), "batches", 5):
            watch.seconds += 3
            for _ in turns(range(20), 20):
                watch.seconds += 1
        assert trial.slowest == 3
        for _ in bar(range(5), "steps", 5):
            watch.seconds += 4
        assert trial.slowest == 4
