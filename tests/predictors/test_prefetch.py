"""Frames read ahead: the same pixels, sooner, within a budget, and no thread left behind."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2 import Session, Settings, TrackerOptions, View
from napari_sam2.predictors.frames import FrameError
from napari_sam2.predictors.prefetch import FRAMES_AHEAD, PIXEL_BYTES, ReadAhead

SHAPE = (20, 30)
FRAME_BYTES = SHAPE[0] * SHAPE[1] * PIXEL_BYTES
EVERYTHING = (slice(0, 20), slice(0, 30))
CORNER, ASIDE = (slice(0, 8), slice(0, 10)), (slice(10, 18), slice(12, 30))
TIMES = 10  #: frames
NAME = "napari-sam2-read"  #: of threads


class Recorder:
    """Frames of noise that remember who read them, and can be held up."""

    n_frames, shape = TIMES, SHAPE

    def __init__(self):
        self.reads = []
        self.open = threading.Event()
        self.open.set()
        self.at_once = self.most_at_once = 0
        self.broken = set()

    def read(self, frame, region):
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        in_thread = threading.current_thread().name.startswith(NAME)
        if in_thread:
            self.open.wait(10)
        self.reads.append((frame, region, in_thread))
        self.at_once -= 1
        if frame in self.broken:
            raise FrameError(f"Frame {frame} could not be read: gone")
        return np.ascontiguousarray(self.pixels(frame)[region])

    @staticmethod
    def pixels(frame):
        return np.random.default_rng(frame).random((*SHAPE, 3), dtype=np.float32)

    def ahead(self):
        """Frames that were read in the thread, in order."""
        return [frame for frame, _, in_thread in self.reads if in_thread]


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


@contextmanager
def one_read_under_way(source, reader):
    """Have the thread read, and be held up in it."""
    with reader.ahead(range(TIMES)):
        reader.arrive(0)
        source.open.clear()
        reader.read(0)
        wait_until(lambda: source.at_once == 1)
        yield


def readers():
    return [t for t in threading.enumerate() if t.name.startswith(NAME)]


def test_next_frames_are_read_while_one_is_tracked():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        reader.arrive(0)
        reader.read(0)
        wait_until(lambda: source.ahead() == [1, 2, 3, 4])
        reader.arrive(1)
        wait_until(lambda: source.ahead() == [1, 2, 3, 4, 5])
        reader.read(1)

    assert [frame for frame, _, in_thread in source.reads if not in_thread] == [0]


@pytest.mark.parametrize("order", [range(TIMES), range(TIMES - 1, -1, -1), [3, 4, 9, 2]])
def test_frames_are_read_in_the_order_they_are_wanted(order):
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(order):
        for frame in order:
            reader.arrive(frame)
            assert np.array_equal(reader.read(frame), source.pixels(frame))
            time.sleep(0.01)

    assert [frame for frame, _, _ in source.reads] == list(order)


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_what_is_read_ahead_is_what_would_have_been_read(data):
    source = Recorder()
    reader = ReadAhead(source, data.draw(st.integers(0, 5 * FRAME_BYTES)))
    with reader.ahead(range(TIMES)):
        for frame in range(TIMES):
            reader.arrive(frame)
            for _ in range(data.draw(st.integers(0, 3))):
                rows = sorted(data.draw(st.tuples(*[st.integers(0, 20)] * 2)))
                columns = sorted(data.draw(st.tuples(*[st.integers(0, 30)] * 2)))
                other = data.draw(st.sampled_from([frame, 0, TIMES - 1]))
                region = slice(*rows), slice(*columns)
                found = reader.read(other, region)

                assert np.array_equal(found, source.pixels(other)[region])
                assert found.flags.c_contiguous
    assert source.most_at_once <= 1


@pytest.mark.parametrize("frames", [0, 0.9, 1, 2.5])
def test_no_more_is_read_ahead_than_there_is_room_for(frames):
    source = Recorder()
    reader = ReadAhead(source, max_bytes=int(frames * FRAME_BYTES))
    with reader.ahead(range(TIMES)):
        reader.arrive(0)
        reader.read(0)
        wait_until(lambda: len(source.ahead()) == int(frames))
        time.sleep(0.05)

    assert source.ahead() == list(range(1, 1 + int(frames)))


def test_frame_takes_its_room_until_it_is_passed():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        for frame in range(5):
            reader.arrive(frame)
            reader.read(frame)
            reader.read(frame)
            if frame % 2 == 0:
                wait_until(lambda frame=frame: frame + 1 in source.ahead())

    # With room for one, while that is tracked the next is not read.
    assert source.ahead() == [1, 3, 5]


def test_without_room_there_is_no_thread():
    before = threading.active_count()
    reader = ReadAhead(Recorder(), max_bytes=0)
    with reader.ahead(range(TIMES)):
        reader.arrive(0)
        reader.read(0)
        assert threading.active_count() == before


def test_the_parts_that_were_wanted_are_read_of_the_next_frames():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        reader.arrive(0)
        reader.read(0, CORNER)
        wait_until(lambda: len(source.ahead()) == FRAMES_AHEAD)

    assert all(region == CORNER for _, region, _ in source.reads)


def test_parts_close_together_are_read_at_once():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        for frame in range(6):
            reader.arrive(frame)
            for region in (CORNER, (slice(2, 10), slice(4, 14))):
                found = reader.read(frame, region)
                assert np.array_equal(found, source.pixels(frame)[region])
                assert found.flags.c_contiguous
            wait_until(lambda frame=frame: source.reads[-1][0] == min(frame + 4, 9))

    last = [region for frame, region, _ in source.reads if frame == 9]
    assert last == [(slice(0, 10), slice(0, 14))]


def test_part_that_moved_is_read_of_the_frames_after():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        for frame, region in enumerate([CORNER, CORNER, ASIDE, ASIDE, ASIDE]):
            reader.arrive(frame)
            assert np.array_equal(reader.read(frame, region), source.pixels(frame)[region])
            wait_until(lambda frame=frame: source.reads[-1][0] >= frame + 4)

    here = [(frame, region) for frame, region, in_thread in source.reads if not in_thread]
    assert here == [(0, CORNER), (2, ASIDE)]
    assert (8, CORNER) not in [read[:2] for read in source.reads]


def test_source_is_never_asked_by_two_threads_at_once():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with one_read_under_way(source, reader):
        preview = threading.Thread(target=reader.read, args=(9,))
        preview.start()
        preview.join(0.05)
        source.open.set()
        preview.join(10)

    assert 9 in [frame for frame, _, _ in source.reads]
    assert source.most_at_once == 1


def test_what_other_frames_are_asked_for_is_not_read_ahead():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        reader.arrive(2)
        reader.read(8)
        reader.read(0)
        time.sleep(0.02)
        assert source.ahead() == []
        reader.read(2)
        wait_until(lambda: source.ahead() == [3, 4, 5, 6])


def test_frame_that_cannot_be_read_ahead_is_an_error_when_it_is_wanted():
    source = Recorder()
    source.broken.add(2)
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with reader.ahead(range(TIMES)):
        reader.arrive(0)
        reader.read(0)
        wait_until(lambda: 2 in source.ahead())
        reader.arrive(1)
        assert np.array_equal(reader.read(1), source.pixels(1))
        reader.arrive(2)
        with pytest.raises(FrameError, match="Frame 2 could not be read"):
            reader.read(2)
        source.broken.clear()
        assert np.array_equal(reader.read(2), source.pixels(2))


def test_closing_waits_for_one_read_at_most_and_leaves_no_thread():
    source = Recorder()
    reader = ReadAhead(source, max_bytes=100 * FRAME_BYTES)
    with one_read_under_way(source, reader):
        threading.Timer(0.05, source.open.set).start()

    assert source.ahead() == [1]
    assert not readers()


def slow(images, seconds=0.05, broken=()):
    """An array whose every read takes its time, or fails."""

    class Slow:
        shape, dtype = images.shape, images.dtype

        def __getitem__(self, index):
            time.sleep(seconds)
            if index[0] in broken:
                raise OSError("network drive gone")
            return images[index]

    return Slow()


VIEW = View(contrast_limits=(0, 255))


def begin(model, data, ahead_bytes=2**20, field="auto"):
    options = TrackerOptions(ahead_bytes=ahead_bytes, field=field)
    session = Session(data, model, view=VIEW, settings=Settings(tracker=options))
    session.add_points(session.add_object(), 0, [[30, 40]])
    session.add_box(session.add_object(), 0, [45, 75, 75, 105])
    return session


@pytest.mark.parametrize("field", ["auto", "frame"])
def test_results_do_not_differ_by_what_is_read_ahead(tiny_model, blobs, field):
    with_thread, without = (begin(tiny_model, blobs[0], n, field) for n in (2**20, 0))
    for session in (with_thread, without):
        list(session.propagate("both"))

    assert with_thread.labels.any()
    assert np.array_equal(with_thread.labels, without.labels)


@pytest.mark.parametrize("end", ["finished", "closed", "failed", "dropped"])
def test_propagation_leaves_no_thread(tiny_model, blobs, end):
    session = begin(tiny_model, slow(blobs[0], broken={5} if end == "failed" else ()))
    steps = session.propagate()
    for _ in range(3):
        next(steps)
    assert readers()

    if end == "closed":
        steps.close()
    elif end == "failed":
        with pytest.raises(FrameError, match="Frame 5"):
            list(steps)
    elif end == "finished":
        list(steps)
    del steps

    assert not readers()


def test_failed_run_goes_on_where_it_stopped_as_if_nothing_had_been(tiny_model, blobs):
    broken = {4}
    session, whole = (begin(tiny_model, slow(blobs[0], 0, b)) for b in (broken, set()))
    list(whole.propagate())

    with pytest.raises(FrameError, match="Frame 4 could not be read: network drive gone"):
        list(session.propagate())
    assert np.array_equal(session.labels[:4], whole.labels[:4])
    assert not session.labels[4:].any()
    broken.clear()
    assert [masks.frame for masks in session.propagate(start=4)] == [4, 5, 6, 7]

    assert np.array_equal(session.labels, whole.labels)
