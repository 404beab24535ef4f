"""One generator in a thread: who hears of what, and in which thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field

import pytest

from napari_sam2._worker import Call, Job, Queue, Turns

pytestmark = pytest.mark.usefixtures("qapp")


@dataclass
class Listener:
    """Notes what it is told, and in which thread."""

    steps: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    done: list = field(default_factory=list)
    threads: set = field(default_factory=set)

    def call(self, steps) -> Call:
        return Call(steps, self.step, self.errors.append, lambda: self.done.append(True))

    def step(self, item) -> None:
        self.steps.append(item)
        self.threads.add(threading.current_thread())


@pytest.fixture
def listener() -> Listener:
    return Listener()


class Gated:
    """A generator that waits at a gate within its first step."""

    def __init__(self, name: str = "step") -> None:
        self.name = name
        self.entered, self.gate = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self):
        self.thread = threading.current_thread()
        self.entered.set()
        assert self.gate.wait(10)
        yield f"{self.name} 1"
        yield f"{self.name} 2"


def failing(error: Exception):
    def steps():
        yield 1
        raise error

    return steps


def test_steps_run_off_the_main_thread_and_are_told_on_it(listener, qtbot):
    job, steps = Job(), Gated()
    steps.gate.set()

    job.start(listener.call(steps))
    qtbot.waitUntil(lambda: bool(listener.done))

    assert listener.steps == ["step 1", "step 2"]
    assert steps.thread is not threading.main_thread()
    assert listener.threads == {threading.main_thread()}


def test_job_runs_until_its_last_step_was_told(listener, qtbot):
    job, steps = Job(), Gated()
    job.start(listener.call(steps))
    assert job.is_running

    steps.gate.set()
    qtbot.waitUntil(lambda: bool(listener.done))

    assert not job.is_running


def test_cancelled_job_tells_nothing_more(listener, qtbot):
    job, steps = Job(), Gated()
    job.start(listener.call(steps))
    assert steps.entered.wait(5)

    job.cancel()
    steps.gate.set()
    qtbot.wait(100)

    assert not job.is_running
    assert (listener.steps, listener.done) == ([], [])


def test_replaced_job_delivers_no_late_answer(listener, qtbot):
    job, slow, quick = Job(), Gated("slow"), Gated("quick")
    quick.gate.set()
    job.start(listener.call(slow))
    assert slow.entered.wait(5)

    job.start(listener.call(quick))
    slow.gate.set()
    qtbot.waitUntil(lambda: bool(listener.done))

    assert listener.steps == ["quick 1", "quick 2"]


def test_new_job_waits_for_the_step_of_the_old_one(listener, qtbot):
    job, slow, quick = Job(), Gated("slow"), Gated("quick")
    job.start(listener.call(slow))
    assert slow.entered.wait(5)

    job.start(listener.call(quick))
    qtbot.wait(50)
    assert not quick.entered.is_set()

    slow.gate.set()
    quick.gate.set()
    qtbot.waitUntil(lambda: bool(listener.done))


def test_of_many_jobs_that_wait_only_the_last_runs(listener, qtbot):
    job, slow, skipped, last = Job(), Gated(), Gated("skipped"), Gated("last")
    last.gate.set()
    job.start(listener.call(slow))
    assert slow.entered.wait(5)

    job.start(listener.call(skipped))
    job.start(listener.call(last))
    slow.gate.set()
    qtbot.waitUntil(lambda: bool(listener.done))

    assert not skipped.entered.is_set()


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("no such frame")])
def test_failure_is_told_whatever_its_type(listener, qtbot, error):
    job = Job()

    job.start(listener.call(failing(error)))
    qtbot.waitUntil(lambda: bool(listener.errors))

    assert listener.errors == [error]
    assert not job.is_running


def test_failed_job_is_not_told_as_done(listener, qtbot):
    Job().start(listener.call(failing(ValueError())))
    qtbot.waitUntil(lambda: bool(listener.errors))
    qtbot.wait(50)

    assert listener.done == []


def test_job_can_be_started_again_when_it_is_done(listener, qtbot):
    job, steps = Job(), Gated()
    steps.gate.set()
    job.start(listener.call(failing(ValueError())))
    qtbot.waitUntil(lambda: bool(listener.errors))

    job.start(listener.call(steps))
    qtbot.waitUntil(lambda: bool(listener.done))

    assert listener.steps == [1, "step 1", "step 2"]


def test_warning_filters_of_the_window_are_left_alone(listener, qtbot):
    job, steps = Job(), Gated()
    before = warnings.showwarning, list(warnings.filters)

    job.start(listener.call(steps))
    assert steps.entered.wait(5)

    assert (warnings.showwarning, warnings.filters) == before
    steps.gate.set()
    qtbot.waitUntil(lambda: bool(listener.done))


END_WITH_A_JOB = """
import time
from qtpy.QtWidgets import QApplication
from napari_sam2._worker import Call, Job

def steps():
    while True:
        time.sleep(0.2)
        yield 1

app, job = QApplication([]), Job()
job.start(Call(steps, on_step=print, on_error=print))
time.sleep(0.1)
job.cancel()
"""


def test_program_may_end_while_a_step_is_under_way():
    ended = subprocess.run(
        [sys.executable, "-c", END_WITH_A_JOB],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_queue_does_one_after_another_and_drops_none(listener, qtbot):
    queue, first, second = Queue(), Gated("first"), Gated("second")
    queue.add(listener.call(first))
    queue.add(listener.call(second))
    assert first.entered.wait(5)
    assert not second.entered.is_set()

    first.gate.set()
    second.gate.set()
    qtbot.waitUntil(lambda: len(listener.done) == 2)

    assert listener.steps == ["first 1", "first 2", "second 1", "second 2"]


def test_queue_goes_on_after_a_failure(listener, qtbot):
    queue, steps = Queue(), Gated()
    steps.gate.set()
    queue.add(listener.call(failing(RuntimeError())))
    queue.add(listener.call(steps))

    qtbot.waitUntil(lambda: bool(listener.done))

    assert len(listener.errors) == 1
    assert listener.steps == [1, "step 1", "step 2"]


def test_turns_go_in_the_order_they_are_asked_for():
    turns, order = Turns(), []

    def ask(name):
        with turns.take():
            order.append(f"{name} begins")
            time.sleep(0.01)
            order.append(f"{name} ends")

    guests = [threading.Thread(target=ask, args=[name]) for name in ("first", "second")]
    with turns.take():
        for guest in guests:
            guest.start()
            time.sleep(0.05)
        assert order == []
    ask("host")  # who lets go and asks again at once
    for guest in guests:
        guest.join(5)

    names = ("first", "second", "host")
    assert order == [f"{name} {what}" for name in names for what in ("begins", "ends")]


def test_a_turn_ends_with_an_error():
    turns = Turns()
    with pytest.raises(ValueError, match="spoilt"), turns.take():
        raise ValueError("spoilt")

    with turns.take():
        pass


def test_stopped_job_lets_go_of_what_its_steps_hold(listener, qtbot):
    let_go = threading.Event()

    def hold():
        try:
            while True:
                yield time.sleep(0.001)
        finally:
            let_go.set()

    job, steps = Job(), hold()  # referred to from here, too: Python does not clear it away
    job.start(listener.call(lambda: steps))
    qtbot.waitUntil(lambda: bool(listener.steps))
    job.cancel()

    assert let_go.wait(5)
