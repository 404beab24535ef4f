"""How fast the dock answers a hand, and how long the window ever does not.

Opens a real napari window, drives it with mouse and keys, and measures: from opening the dock to
the first mask, from a click to its preview as it is drawn, and how long the event loop is blocked
(a timer that should tick every 5 ms: the longest time without a tick) while nothing is done, while
clicks are answered, objects followed, corrected, undone, and hundreds of objects taken over.

    python scripts/with_display.py python benchmarks/responsiveness.py

With ``--blame`` the longest blocks are listed with what the window did meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from heartbeat import Heartbeat, Phase, rest, until
from qtpy import API_NAME
from qtpy.QtCore import QPoint, Qt, QThreadPool
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Nothing of ours is imported here: that takes its part of the time to the first mask.

WINDOW = (1280, 800)  #: pixels
N_FRAMES, SIZE = 50, 1024  #: of the large stack
ACROSS, RADIUS = 20, 14  #: discs in a row of the large stack, and their size in pixels
DRIFT = 1.0  #: pixels a frame
IDLE = 1.5  #: seconds, in which frames are encoded ahead
AIMING = 0.4  #: seconds, for which the mouse rests before it clicks
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NOTHING = object()  #: is waited for
PLAIN = Qt.KeyboardModifier.NoModifier
SAMPLE = "from napari_sam2._sample_data import nuclei; import numpy, sys; " + (
    "numpy.save(sys.argv[1], nuclei()[0][0])"
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 10, 50])
    parser.add_argument("--found", type=int, default=400, help="objects to track all of")
    parser.add_argument("--seconds", type=float, default=12.0, help="of following, at most")
    parser.add_argument("--threads", type=int, help="of torch; all unless given")
    parser.add_argument("--blame", type=int, default=0, help="list so many blocks of each phase")
    options = parser.parse_args()
    # Neither offer the user's unsaved work, nor leave any.
    os.environ["NAPARI_SAM2_AUTOSAVE"] = tempfile.mkdtemp()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    bench = Bench(options)
    for name in options.only:
        PARTS[name](bench)
    bench.report()


class Bench:
    """What was measured, and a window at a time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.times: list[tuple[str, list[float]]] = []
        self.phases: list[Phase] = []
        self.heart: Any = None
        self._closed: list[Hand] = []

    @contextmanager
    def window(
        self, images: np.ndarray, name: str, closing: str = "close the window"
    ) -> Iterator[Hand]:
        """Open a window on a stack, and close it."""
        viewer = napari.Viewer(show=True, show_welcome_screen=False)
        viewer.window.resize(*WINDOW)
        viewer.add_image(images, name=name, axis_labels=("t", "y", "x"))
        viewer.dims.set_point(0, 0)
        self.heart = self.heart or Heartbeat()
        rest(1.0)
        hand = Hand(viewer)
        try:
            yield hand
        finally:
            with self.phase(closing):
                viewer.close()
                rest(0.2)
            QThreadPool.globalInstance().waitForDone(60_000)
            rest(0.2)
            # Here: a thread that comes to clear away a window crashes.
            self._closed.append(hand)
            gc.collect()

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Watch how long the window does not answer; phases of one name are one."""
        with self.heart.phase(name) as phase:
            yield phase
        earlier = next((one for one in self.phases if one.name == name), None)
        if earlier is None:
            self.phases.append(phase)
        else:
            earlier.gaps += phase.gaps
            earlier.blocks += phase.blocks

    def note(self, name: str, seconds: list[float]) -> None:
        """Note how long something took, each time."""
        self.times.append((name, seconds))

    def report(self) -> None:
        """Print what was measured, where, and with what."""
        import torch

        from napari_sam2 import __version__

        print(
            f"\n{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__} with "
            f"{torch.get_num_threads()} threads, napari {napari.__version__}, {API_NAME}, Python "
            f"{platform.python_version()}, napari-sam2 {__version__}\n"
        )
        print("| | times | median, s | longest, s |\n|---|---|---|---|")
        for name, seconds in self.times:
            median, longest = statistics.median(seconds), max(seconds)
            print(f"| {name} | {len(seconds)} | {median:.2f} | {longest:.2f} |")
        print("\n| while | 99 % below, ms | longest block, ms | of it at work, ms | what then |")
        print("|---|---|---|---|---|")
        for phase in self.phases:
            worst = phase.worst()
            what = worst[0].tell() if phase.longest > 0.05 else ""
            at_work = f"{1000 * worst[0].at_work:.0f}" if worst else ""
            usual, longest = 1000 * phase.usual, 1000 * phase.longest
            print(f"| {phase.name} | {usual:.0f} | {longest:.0f} | {at_work} | {what} |")
        for phase in self.phases if self.options.blame else ():
            print(f"\n{phase.name}")
            for block in phase.worst(self.options.blame):
                at_work = f"{1000 * block.at_work:.0f} at work"
                print(f"  {1000 * block.seconds:4.0f} ms, {at_work}: {block.tell()}")


class Hand:
    """Drives a window as a user does."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.dock: Any = None
        self._canvas = viewer.window._qt_viewer.canvas
        self._before: Any = NOTHING  #: what was answered before the click
        self._is_answered = False
        self.seen: float | None = None  #: when the answer was drawn
        self._canvas._scene_canvas.events.draw.connect(self._see)

    def open_dock(self) -> None:
        """Open the dock from the menu of plugins."""
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
        self.dock.annotator.results.previewed.connect(self._notice)

    @property
    def native(self) -> Any:
        """What the mouse is over."""
        return self._canvas.native

    def take_up(self, tool: str) -> None:
        """Choose a tool on the dock."""
        button = self.dock.panels.prompts.tools[tool]
        if not button.isChecked():
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def aim(self, row: float, column: float) -> QPoint:
        """Move the mouse over a pixel of the image."""
        x, y, *_ = self._canvas.view.scene.transform.map([column, row, 0, 1])
        position = QPoint(round(float(x)), round(float(y)))
        QTest.mouseMove(self.native, position)
        return position

    def click(self, row: float, column: float) -> None:
        """Click on a pixel of the image."""
        position = self.aim(row, column)
        QTest.mouseClick(self.native, Qt.MouseButton.LeftButton, PLAIN, position)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = PLAIN) -> None:
        """Press a key over the image."""
        QTest.keyClick(self.native, key, modifier)

    def go_to(self, frame: int) -> None:
        """Move the slider."""
        self.viewer.dims.set_point(0, frame)

    def answered(self, row: float, column: float, aiming: float = 0.0) -> float:
        """Aim, click, and wait until the answer is drawn; give how long it took from the click."""
        self.aim(row, column)
        rest(aiming)
        self._before, self._is_answered, self.seen = self._candidates(), False, None
        begun = time.perf_counter()
        self.click(row, column)
        until(lambda: self.seen is not None)
        assert self.seen is not None
        self._before = NOTHING
        return self.seen - begun

    def settle(self) -> None:
        """Wait until all that was asked is done, and what follows is computed ahead."""
        annotator = self.dock.annotator
        until(lambda: not annotator.is_busy and not annotator._edits.is_running)
        rest(IDLE)

    def begin_object(self) -> None:
        """Begin another object by its key."""
        self.press(Qt.Key.Key_N)

    def prompt(self, places: np.ndarray) -> None:
        """Click objects on the first frame at once, each a new one."""
        self.take_up("point")
        for row, column in places:
            if len(self.dock.annotator.layers.layers()[0].data):
                self.dock.panels.objects.begin()
            self.dock.annotator.layers.layers()[0].add([0, row, column])
        self.settle()

    def _candidates(self) -> Any:
        stack, objects = self.dock.panels.image.stack(), self.dock.panels.objects
        frame = stack.current_frame(self.viewer.dims)
        return self.dock.annotator.results.candidates(stack, objects.current(), frame)

    def _notice(self) -> None:
        if self._before is NOTHING:
            return
        found = self._candidates()
        if found is not None and found is not self._before:
            self._is_answered = True

    def _see(self, event: Any = None) -> None:
        if self._is_answered and self.seen is None:
            self.seen = time.perf_counter()


def alone(bench: Bench) -> None:
    """Do in napari, without the dock, what it does by itself."""
    images, _ = large_stack()
    with bench.window(images, "discs", "napari alone: close the window") as hand:
        with bench.phase("napari alone: go through frames"):
            go_through(hand, bench.options.seconds / 2)
        for _ in range(3):
            with bench.phase("napari alone: add a Labels layer"):
                hand.viewer.add_labels(np.zeros((1, SIZE, SIZE), np.uint16))
                rest(0.5)
        with bench.phase("napari alone: add a Points layer"):
            hand.viewer.add_points(np.zeros((0, 3)))
            rest(0.5)
        with bench.phase("napari alone: go through frames, 4 layers more"):
            go_through(hand, bench.options.seconds / 2)


def go_through(hand: Hand, seconds: float, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Look at seven frames a second."""
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds and goes_on():
        hand.go_to(round(7 * passed) % N_FRAMES)
        rest(0.1)


def sample(bench: Bench) -> None:
    """Click nuclei of the sample time-lapse, follow them, correct, undo."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nuclei.npy"  # in a process of its own: nothing is loaded here
        subprocess.run([sys.executable, "-c", SAMPLE, str(path)], check=True)
        images = np.load(path)
    places = bright_places(images[0])
    with bench.window(images, "nuclei") as hand:
        begun = time.perf_counter()
        with bench.phase("open the dock"):
            hand.open_dock()
            rest(0.1)
        with bench.phase("take up the point tool (napari adds a layer)"):
            hand.take_up("point")
            rest(0.05)
        with bench.phase("first preview (napari adds a layer)"):
            hand.answered(*places[0])
        bench.note("open the dock to the first mask", [time.perf_counter() - begun])
        hand.settle()
        with bench.phase("do nothing"):
            rest(3.0)
        click_around(bench, hand, places, "sample")


def click_around(bench: Bench, hand: Hand, places: np.ndarray, what: str) -> None:
    """Click the current object, others beside it and far from it, on this frame and the next."""
    times: dict[str, list[float]] = {}
    first = places[0]
    others = sorted(places[1:], key=lambda place: float(np.hypot(*(place - first))))
    for name, place, aiming in (
        ("the same object again", first + 3, AIMING),
        *(("another object", place, AIMING) for place in (*others[:2], *others[-2:])),
        *(("another object, without aiming", place, 0.0) for place in others[2:-2][:4]),
    ):
        with bench.phase("click"):
            if "another" in name:
                hand.begin_object()
            taken = hand.answered(*place, aiming)
        times.setdefault(name, []).append(taken)
        hand.settle()
    hand.dock.panels.objects.make_current(1)
    hand.settle()
    for frame in (1, 2, 3):
        for name, place, aiming in (
            ("the object on the next frame", first + 2, AIMING),
            ("the object on the next frame, without aiming", first + 2, 0.0),
            ("elsewhere on the next frame", others[-1], AIMING),
        ):
            with bench.phase("click"):
                hand.go_to(frame)
                rest(0.05)
                taken = hand.answered(*place, aiming)
            times.setdefault(name, []).append(taken)
            hand.settle()
            # As if it had not been clicked: the next one is a first one, too.
            with bench.phase("undo a click"):
                hand.press(Qt.Key.Key_Z, CTRL)
                rest(0.5)
            hand.settle()
            hand.go_to(frame - 1)
            hand.settle()
    for name, taken in times.items():
        bench.note(f"{what}: click on {name}", taken)


def clicks(bench: Bench) -> None:
    """Click discs of a large stack."""
    images, places = large_stack()
    with bench.window(images, "discs") as hand:
        hand.open_dock()
        rest(0.5)
        hand.take_up("point")
        hand.answered(*places[210])
        hand.settle()
        click_around(bench, hand, places[[210, *range(211, 400, 19)]], "large stack")


def large(bench: Bench) -> None:
    """Follow discs of a large stack; look around, correct and undo meanwhile."""
    images, places = large_stack()
    for count in bench.options.objects:
        with bench.window(images, "discs") as hand:
            hand.open_dock()
            rest(0.5)
            chosen = spread(places, count)
            hand.prompt(chosen)
            follow(bench, hand, count)


def follow(bench: Bench, hand: Hand, count: int) -> None:
    """Follow objects for a while, look at other frames, stop; correct; undo and redo."""
    many = f"{count} object{'s' * (count > 1)}"
    track = hand.dock.panels.track
    bar = hand.dock.panels.status.bar
    with bench.phase("begin to follow (napari adds a layer)"):
        hand.press(Qt.Key.Key_S, SHIFT)
        until(lambda: bar.value() > 0 or not is_running(track))
    with bench.phase(f"follow {many}"):
        run_for(bench.options.seconds, track)
    with bench.phase(f"follow {many}, going through frames"):
        hand.press(Qt.Key.Key_S, SHIFT)
        go_through(hand, bench.options.seconds, lambda: is_running(track))
        hand.press(Qt.Key.Key_Escape)
        until(lambda: not is_running(track))
    done = bar.value()
    print(f"followed {many}; {done} steps", file=sys.stderr)
    hand.settle()
    hand.go_to(1)
    rest(IDLE)
    hand.take_up("point")
    hand.dock.panels.objects.make_current(1)
    with bench.phase(f"correct one of {many}"):
        hand.answered(*(spread(large_places(), count)[0] + 4))
        QTest.mouseClick(hand.dock.panels.review.correct_button, Qt.MouseButton.LeftButton)
        run_for(bench.options.seconds, track)
    hand.settle()
    with bench.phase(f"undo and redo, {many}"):
        for key, times in (("undo", 3), ("redo", 3)):
            for _ in range(times):
                hand.press(Qt.Key.Key_Z, CTRL if key == "undo" else CTRL | SHIFT)
                until(lambda: not hand.dock.annotator._edits.is_running)
                rest(0.3)
    hand.settle()


def everything(bench: Bench) -> None:
    """Segment everything for a while; then take over hundreds of objects, as if all were found."""
    images, _ = large_stack()
    with bench.window(images, "discs") as hand:
        _, dock = hand.viewer.window.add_plugin_dock_widget("napari-sam2", "Segment everything")
        rest(0.5)
        runner = dock.runner
        with bench.phase("segment everything"):
            QTest.mouseClick(dock.panel.frame_button, Qt.MouseButton.LeftButton)
            begun = time.perf_counter()
            until(lambda: not runner.is_busy or time.perf_counter() - begun > bench.options.seconds)
            hand.press(Qt.Key.Key_Escape)
            until(lambda: not runner.is_busy)
        put_discs(runner, bench.options.found)
        with bench.phase(f"choose among {bench.options.found} found"):
            for value in range(0, 60, 3):
                dock.filter.iou.setValue(value)
                rest(0.05)
            until(lambda: not runner.is_busy)
        dock.filter.iou.setValue(0)
        until(lambda: not runner.is_busy)
        with bench.phase(f"track all of {bench.options.found}"):
            QTest.mouseClick(dock.filter.track_button, Qt.MouseButton.LeftButton)
            until(lambda: "are in the SAM 2 dock" in dock.status.label.text())
            rest(2.0)
        hand.dock = find_dock(hand.viewer)
        with bench.phase("begin to follow (napari adds a layer)"):
            hand.press(Qt.Key.Key_S, SHIFT)
            until(lambda: hand.dock.panels.status.bar.value() > 0)
        with bench.phase(f"follow {bench.options.found} objects"):
            run_for(2 * bench.options.seconds, hand.dock.panels.track)
        with bench.phase("take up the point tool (napari adds a layer)"):
            hand.take_up("point")
            rest(0.3)
        with bench.phase(f"click beside {bench.options.found} objects"):
            hand.dock.annotator.results.previewed.connect(hand._notice)
            hand.begin_object()
            hand.answered(4, 4)
        hand.settle()


PARTS: dict[str, Callable[[Bench], None]] = {
    "sample": sample,
    "alone": alone,
    "clicks": clicks,
    "large": large,
    "everything": everything,
}


def run_for(seconds: float, track: Any) -> None:
    """Let a run go on for a while, and stop it by its button."""
    begun = time.perf_counter()
    until(lambda: not is_running(track) or time.perf_counter() - begun > seconds)
    if is_running(track):
        QTest.mouseClick(track.cancel_button, Qt.MouseButton.LeftButton)
    until(lambda: not is_running(track))


def is_running(track: Any) -> bool:
    """Whether objects are being followed."""
    return not track.propagate_button.isEnabled()


def put_discs(runner: Any, count: int) -> None:
    """Have the dock believe that it found discs, each where one is."""
    from napari_sam2.automatic import Everything
    from napari_sam2.predictors.pieces import Piece

    rows, columns = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disc = rows**2 + columns**2 <= RADIUS**2
    pieces = [
        Piece((int(row) - RADIUS, int(column) - RADIUS), disc, 0.9, 0.95)
        for row, column in large_places()[:count]
    ]
    runner.results.take(Everything(0, (SIZE, SIZE), tuple(pieces)), runner._filter.selection())
    until(lambda: not runner.is_busy)


def find_dock(viewer: napari.Viewer) -> Any:
    """Give the dock of the window."""
    from napari_sam2._widget import AnnotateWidget

    return viewer.window._qt_window.findChildren(AnnotateWidget)[0]


def large_places() -> np.ndarray:
    """Give the middles of the discs on the first frame, (N, 2)."""
    step = SIZE / ACROSS
    middles = np.round(np.arange(ACROSS) * step + step / 2)
    return np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)


def large_stack() -> tuple[np.ndarray, np.ndarray]:
    """Draw discs that drift apart from each other on a noisy ground; (T, Y, X), uint8."""
    places = large_places()
    dice = np.random.default_rng(0)
    ways = dice.uniform(-DRIFT, DRIFT, places.shape) / 5
    images = dice.integers(0, 40, (N_FRAMES, SIZE, SIZE), dtype=np.uint8)
    rows, columns = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disc = (160 * (rows**2 + columns**2 <= RADIUS**2)).astype(np.uint8)
    for frame, image in enumerate(images):
        for row, column in np.round(places + frame * ways).astype(int):
            top, left = row - RADIUS, column - RADIUS
            image[top : top + len(disc), left : left + len(disc)] += disc
    return images, places


def spread(places: np.ndarray, count: int) -> np.ndarray:
    """Choose places far from each other."""
    return places[np.linspace(0, len(places) - 1, count + 2).round().astype(int)[1:-1]]


def bright_places(image: np.ndarray) -> np.ndarray:
    """Give the middles of bright objects of an image, the largest first; (N, 2)."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image.astype(float), 2)
    parts, count = ndimage.label(smooth > (smooth.min() + smooth.max()) / 2.5)
    sizes = ndimage.sum_labels(np.ones(parts.shape), parts, range(1, count + 1))
    order = np.argsort(-sizes) + 1
    middles = np.array(ndimage.center_of_mass(smooth, parts, order))
    return middles[np.sort(sizes)[::-1] > 60]


if __name__ == "__main__":
    main()
