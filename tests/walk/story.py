"""One story, told with mouse and keys in a real window: cells are clicked, followed, mended, saved.

A step does what a user does, and asserts what they see then. The tests walk through the story,
and scripts/make_screenshots.py takes the pictures of the documentation on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hand import LABELS
from napari.layers import Points, Shapes
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from truth import Truth
from user import User
from windows import answer_file_dialog, choose_in_menu

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam2.evaluation.prompting import Target

SAMPLE = ("File", "Open Sample", "napari-sam2", "Fluorescent nuclei, time-lapse (generated)")
NAME = "nuclei (generated)"  #: of the sample's layer
POINTS, SHAPES, PREVIEW = "SAM 2 points", "SAM 2 shapes", "SAM 2 preview"
SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
MARGIN = 3  #: pixels, around boxes

#: What is told, in order; each is a method of `Story`.
CHAPTERS = (
    "open_an_image",
    "open_the_dock",
    "click_a_cell",
    "choose_a_candidate",
    "say_what_is_not_the_cell",
    "box_others",
    "accept",
    "propagate",
    "look_through",
    "go_to_the_worst_frame",
    "correct",
    "undo_and_redo",
    "lock",
    "save",
    "drop_the_session_into_a_new_window",
    "go_on",
    "be_offered_what_was_not_saved",
    "open_the_session_from_the_dock",
)
#: Of these the film in the README is made.
FILMED = (
    "open_an_image",
    "open_the_dock",
    "click_a_cell",
    "choose_a_candidate",
    "box_others",
    "propagate",
    "look_through",
)


class Story(User):
    """A user, and the cells that they see.

    Parameters
    ----------
    folder : Path
        Where the session is saved.
    n_boxes : int
        How many cells are boxed; one is clicked.
    *others, **options
        Of `User`.
    """

    def __init__(self, folder: Path, *others, n_boxes: int = 1, **options) -> None:
        super().__init__(*others, **options)
        self.path, self._n_boxes = folder / "nuclei.sam2", n_boxes
        self._truth = Truth()
        self.cells: list[Target] = []  #: object 1, 2, ...

    def tell(self, chapters: Sequence[str] = CHAPTERS) -> Iterator[str]:
        """Go through chapters, whose claims are checked; give each that was told."""
        for chapter in chapters:
            getattr(self, chapter)()
            QTest.qWait(50)
            self.camera.look(self, chapter)
            yield chapter

    # -- one image, some cells

    def open_an_image(self) -> None:
        self.open_window()
        choose_in_menu(self.viewer, *SAMPLE)
        (image,) = self.viewer.layers
        np.testing.assert_array_equal(image.data, self._truth.images)
        if not self.cells:
            self.cells = self._truth.clearest(self.frame, 1 + self._n_boxes)

    def open_the_dock(self) -> None:
        self.open_dock()
        assert self.dock.isVisible()
        assert self.dock.panels.image.images.currentText() == "nuclei (generated)"
        assert [layer.name for layer in self.viewer.layers] == ["nuclei (generated)"]

    def click_a_cell(self) -> None:
        self.press(self.dock.panels.prompts.tools["point"])
        self.click(self.cells[0].click)
        strip = self.dock.panels.prompts.candidates
        self.wait(strip.isVisible)
        self.wait_for_answers()
        assert self.viewer.layers[POINTS].features["positive"].tolist() == [True]
        assert [button.text()[:2] for button in strip.buttons] == ["1:", "2:", "3:"]
        assert self._overlap(0) > 0.5
        assert f"frame {self.frame}: predicted IoU" in self.said

    def choose_a_candidate(self) -> None:
        strip, found = self.dock.panels.prompts.candidates, {}
        for place, key in enumerate((Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3)):
            self.hand.press(self.viewer, key)
            self.wait_for_answers()
            assert strip.buttons[place].isChecked()
            self.camera.look(self, "a candidate")
            found[place] = self._overlap(0)
        assert len(set(found.values())) > 1  # there was something to choose
        best = max(found, key=found.__getitem__)
        self.press(strip.buttons[best])
        self.wait_for_answers()
        assert self._overlap(0) == found[best] > 0.6

    def say_what_is_not_the_cell(self) -> None:
        sign = self.dock.panels.prompts.sign_button
        self.hand.press(self.viewer, Qt.Key.Key_T)
        assert "Negative" in sign.text()
        self.click(self._truth.beside(self.frame, self.cells[0]))
        self.wait_for_answers()
        assert self.viewer.layers[POINTS].features["positive"].tolist() == [True, False]
        assert self._overlap(0) > 0.6
        self.hand.press(self.viewer, Qt.Key.Key_T)
        assert "Positive" in sign.text()

    def box_others(self) -> None:
        self.hand.press(self.viewer, Qt.Key.Key_N)
        assert self.dock.panels.objects.current() == 2
        self.press(self.dock.panels.prompts.tools["box"])
        for cell in self.cells[1:]:
            self._drag_around(cell)
        # Every further box has begun an object by itself.
        assert len(self.viewer.layers[SHAPES].data) == len(self.cells) - 1
        assert list(self.dock.panels.objects.names()) == self.numbers
        for place in range(len(self.cells)):
            assert self._overlap(place) > 0.5

    def accept(self) -> None:
        current = self.dock.panels.objects.current()
        self.hand.press(self.viewer, Qt.Key.Key_C)
        self.wait(lambda: LABELS in self.viewer.layers and self.labels()[self.frame].any())
        assert f"is in the labels of frame {self.frame}" in self.said
        assert set(np.unique(self.labels())) == {0, current}
        assert self.hand.previewed(self.viewer) == set(self.numbers) - {current}

    # -- in every frame

    def propagate(self) -> None:
        n_frames, self._prompted_frame = len(self._truth.images), self.frame
        assert not self.dock.sections["Review"].is_open
        self.hand.press(self.viewer, Qt.Key.Key_S, SHIFT)
        assert self.dock.panels.track.cancel_button.isEnabled()
        self.wait_for_run()
        assert f"Done: {n_frames} of {n_frames} frames" in self.said
        assert self.hand.frames_with_labels(self.viewer) == list(range(n_frames))
        for number, cell in enumerate(self.cells, start=1):
            assert self._truth.mean_iou(cell, self.labels() == number) > 0.5
        self.wait(lambda: self.dock.sections["Review"].is_open)

    def look_through(self) -> None:
        labels = self.labels()
        self.move_slider(0)
        for frame in range(len(labels)):
            assert self.frame == frame
            assert labels[frame].any()
            self.camera.look(self, "a frame")
            self.hand.press(self.viewer, Qt.Key.Key_Right)
        self.move_slider(len(labels) * 3 // 4)

    def go_to_the_worst_frame(self) -> None:
        review = self.dock.panels.review
        self.wait(lambda: review.worst.count() > 0)
        worst = self.dock.annotator.reviewer.summary.worst
        for place, row in enumerate(worst, start=1):
            self.hand.press(self.viewer, Qt.Key.Key_G)
            assert f"Number {place} of the worst: frame {row['frame']}" in self.said
            assert self.frame == row["frame"]
            assert self.dock.panels.objects.current() == row["object"]
            if self.frame != self._prompted_frame:
                break
        self.show(self.dock.sections["Review"].content)

    def correct(self) -> None:
        number = self.dock.panels.objects.current()
        self._before = self.labels().copy()
        self._drag_around(self._cell_here())  # the box is still in hand
        assert self.dock.panels.objects.current() == number
        self.press(self.dock.panels.review.correct_button)
        self.wait_for_run()
        assert "Done: " in self.said
        self._after = self.labels().copy()
        others = (self._before != number) & (self._after != number)
        np.testing.assert_array_equal(self._after[others], self._before[others])
        assert self._cell_here().iou(self._after[self.frame] == number) > 0.5

    def undo_and_redo(self) -> None:
        assert (self._before != self._after).any()
        self.hand.press(self.viewer, Qt.Key.Key_Z, CTRL)
        self.wait(lambda: np.array_equal(self.labels(), self._before))
        assert "Undone: " in self.said
        self.hand.press(self.viewer, Qt.Key.Key_Z, CTRL | SHIFT)
        self.wait(lambda: np.array_equal(self.labels(), self._after))
        assert "Done again: " in self.said

    def lock(self) -> None:
        number, button = self.dock.panels.objects.current(), self.dock.panels.review.lock_button
        self.hand.press(self.viewer, Qt.Key.Key_L)
        self.wait(button.isChecked)
        assert "Unlock" in button.text()
        assert self._locked == {number: (self.frame,)}
        assert f"is locked on frame {self.frame}" in self.said
        self._locked_by_hand = self._locked

    # -- another day

    def save(self) -> None:
        self.press(self.dock.sections["Save"].header)
        with answer_file_dialog(self.path):
            self.press(self.dock.panels.save.save_button)
        self.wait(lambda: "Saved" in self.said)
        assert self.path.exists()
        assert str(self.path) in self.said
        self._saved = self.labels().copy()

    def drop_the_session_into_a_new_window(self) -> None:
        self.close()
        self.open_an_image()
        self.viewer.open(self.path, plugin=None)  # as what is dropped
        np.testing.assert_array_equal(self.labels(), self._saved)
        self.open_dock()  # the session waits for it
        self.wait(lambda: list(self.dock.panels.objects.names()) == self.numbers)
        assert not self.dock.panels.unsaved.isVisible()  # all was saved
        self._assert_as_saved()

    def go_on(self) -> None:
        self.press(self.dock.panels.objects.new_button)
        self.press(self.dock.panels.prompts.tools["point"])
        *_, another = self._truth.clearest(self.frame, len(self.cells) + 1)
        self.click(another.click)
        self.wait_for_answers()
        number = self.dock.panels.objects.current()
        assert number == len(self.cells) + 1
        track = self.dock.panels.track
        track.objects.setCurrentText("Selected objects")
        track.first.setValue(self.frame)
        track.last.setValue(self.frame + 1)
        self.press(track.propagate_button)
        self.wait_for_run()
        assert "Done: 2 of 2 frames" in self.said
        now = self.labels()
        assert np.flatnonzero((now == number).any(axis=(1, 2))).tolist() == [
            self.frame,
            self.frame + 1,
        ]
        np.testing.assert_array_equal(now[now != number], self._saved[now != number])

    def be_offered_what_was_not_saved(self) -> None:
        expected = self.labels().copy()
        self.close()
        self.open_an_image()
        self.open_the_dock()
        unsaved = self.dock.panels.unsaved
        self.wait(unsaved.isVisible)
        assert "Restore work on <b>nuclei (generated)</b>" in unsaved.label.text()
        self.camera.look(self, "the offer")
        self.press(unsaved.restore_button)
        self.wait(lambda: LABELS in self.viewer.layers)
        np.testing.assert_array_equal(self.labels(), expected)
        assert not unsaved.isVisible()
        assert list(self.dock.panels.objects.names()) == [*self.numbers, len(self.cells) + 1]

    def open_the_session_from_the_dock(self) -> None:
        if not self.dock.sections["Save"].is_open:
            self.press(self.dock.sections["Save"].header)
        with answer_file_dialog(self.path):
            self.press(self.dock.panels.save.open_button)
        self.wait(lambda: list(self.dock.panels.objects.names()) == self.numbers)
        # The layers of the other session stay, below.
        layer = self.dock.annotator.results.labels_layer
        np.testing.assert_array_equal(layer.data, self._saved)
        self._assert_as_saved()

    # -- what is seen

    @property
    def numbers(self) -> list[int]:
        """The objects."""
        return list(range(1, len(self.cells) + 1))

    @property
    def _locked(self) -> dict[int, tuple[int, ...]]:
        locked = self.dock.annotator.reviewer.summary.locked
        return {number: frames for number, frames in locked.items() if frames}

    def _assert_as_saved(self) -> None:
        assert list(self.dock.panels.objects.names()) == self.numbers
        drawn = {type(layer): len(layer.data) for layer in self.dock.annotator.layers.layers()}
        assert drawn == {Points: 2, Shapes: len(self.cells)}  # one of the boxes corrects
        self.wait(lambda: self._locked == self._locked_by_hand)

    def _overlap(self, place: int) -> float:
        """How well the preview has a cell: the IoU."""
        return self.cells[place].iou(self.viewer.layers[PREVIEW].data[0] == place + 1)

    def _drag_around(self, cell: Target) -> None:
        """Draw a box, not too tightly."""
        row0, column0, row1, column1 = cell.box
        self.drag((row0 - MARGIN, column0 - MARGIN), (row1 + MARGIN, column1 + MARGIN))
        self.wait_for_answers()

    def _cell_here(self) -> Target:
        """Where the current object really is on this frame."""
        return self._truth.on(self.frame, self.cells[self.dock.panels.objects.current() - 1])
