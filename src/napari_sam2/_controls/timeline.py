"""What was done in the dock, in order: drawn, listed, painted, computed; undone and redone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from app_model.types import KeyCode, KeyMod
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.entries import Entry, trim
from napari_sam2._controls.keys import Keys
from napari_sam2._controls.scenes import Scene, show_scene, take_scene, tell_change
from napari_sam2._controls.sessions import ignore_step
from napari_sam2._layers import go_to
from napari_sam2._worker import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.follower import Follower
    from napari_sam2._controls.tasks import Task, Written
    from napari_sam2._layers import Stack
    from napari_sam2._worker import Queue
    from napari_sam2.session import Step

RETRY_MS = 20
CTRL_Z = KeyMod.CtrlCmd | KeyCode.KeyZ
CTRL_SHIFT_Z = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ


class Timeline(QObject):
    """Keeps what was drawn and listed before and after each thing done, and undoes it.

    Prompts and objects are the user's, on layers and in a list: their snapshots are kept here,
    and the session is told anew. Labels and what else was found are the session's: its own
    steps are undone. What a brush painted, on the labels or as a prompt, is undone by napari.

    Parameters
    ----------
    parts : Parts
    bench : Bench
    follower : Follower
    edits : Queue
        Where changes of the session wait for their turn.
    read : callable
        Reads layers and controls; gives None where they make no sense.
    """

    stepped = Signal()  #: the session that is shown has done something
    _stepped = Signal(object, object, int)  #: from any thread; see `Sessions.on_step`

    def __init__(
        self,
        parts: Parts,
        bench: Bench,
        follower: Follower,
        edits: Queue,
        read: Callable[[], Task | None],
    ) -> None:
        super().__init__()
        self._viewer, self._panels = parts.viewer, parts.panels
        self._layers, self._results = parts.layers, parts.results
        self._painting = parts.painting
        self._bench, self._follower, self._edits, self._read = bench, follower, edits, read
        self._is_open = True
        self._done: list[Entry] = []
        self._undone: list[Entry] = []
        self._painted: Any = None  #: the layer of labels that is listened to
        self._stack: Stack | None = None  #: of the image that is worked on
        self._now = self._take(None)
        self._drawn = QTimer(self)
        self._drawn.setSingleShot(True)
        self._drawn.timeout.connect(self.capture)
        # napari's own undo stays on the user's labels; Ctrl-Y is napari's, too: it turns to 3D.
        actions = {CTRL_Z: self.undo, CTRL_SHIFT_Z: self.redo}
        self.keys = Keys(self._viewer, actions, leaves=self._is_theirs)
        self._connect()
        self.keys.take()
        self._tell()

    def capture(self) -> None:
        """Note what was drawn or listed since."""
        if not self._is_open:
            return
        self._drawn.stop()
        now = self._take(self._now)
        if self._now.same(now):
            self._now = now
            return
        entry = Entry(tell_change(self._now, now), self._now, now, self._panels.image.shown())
        self._now = now
        self._add(entry)

    def amend(self) -> None:
        """Note what follows from what was drawn, such as objects of further boxes, with it."""
        if not self._is_open:
            return
        self._drawn.stop()
        now = self._take(self._now)
        if self._done and not self._now.same(now):
            self._done[-1].end_with(now)
        self._now = now

    def relist(self, step: Step | None) -> None:
        """Note that objects are listed otherwise, by a step of the session or by none."""
        if not self._is_open:
            return
        names = self._panels.objects.names()
        gone = self._now.names.keys() - names.keys()
        changed = {i: n for i, n in names.items() if self._now.names.get(i) != n}
        entries = iter(self._done)
        if step is None:  # it is no part of what was done, and is not to be undone with any of it
            entries = iter((*self._done, *self._undone))
        elif cause := next((one for one in entries if step in one.steps), None):
            cause.after = cause.after.relisted(changed, gone)
        for later in entries:
            later.before = later.before.relisted(changed, gone)
            later.after = later.after.relisted(changed, gone)
        self._now = self._take(self._now)

    def note_drawn(self, step: Step | None) -> None:
        """Note what was drawn because of a step of the session, to be undone with it."""
        if step is None or not self._done or step not in self._done[-1].steps:
            self.capture()
        else:
            self.amend()

    def undo(self) -> None:
        """Undo what was done last."""
        self._rewind(self._done, self._undone, self.undo, back=True)

    def redo(self) -> None:
        """Do again what was undone last."""
        self._rewind(self._undone, self._done, self.redo, back=False)

    def follow_image(self) -> None:
        """Begin anew if another image is worked on, or other pixels of it."""
        earlier, self._stack = self._stack, self._panels.image.shown()
        if earlier is None or self._stack is None or not earlier.same_layer(self._stack):
            self.forget()

    def forget(self) -> None:
        """Begin anew: nothing that was done before can be undone."""
        if not self._is_open:
            return
        self._done.clear()
        self._undone.clear()
        self._drawn.stop()
        self._now = self._take(self._now)
        self._tell()

    def close(self) -> None:
        """Give back the keys, and follow nothing more."""
        self.keys.give_back()
        self._bench.sessions.on_step = ignore_step
        self._is_open = False
        self._drawn.stop()
        self._viewer.layers.events.removed.disconnect(self._let_go)
        self._listen(None)

    def _rewind(
        self, given: list[Entry], taken: list[Entry], again: Callable[[], None], *, back: bool
    ) -> None:
        if not self._is_open:  # it has waited for work that outlived the dock
            return
        status = self._panels.status
        if self._follower.is_running:
            self._follower.cancel()
            status.say("Stopped. Undo once more to take back what was found.")
            return
        if self._layers.is_drawing:
            return
        if self._edits.is_running:  # what it leads to belongs to what was done
            QTimer.singleShot(RETRY_MS, again)
            return
        self.capture()
        if not given:
            status.say("There is nothing to undo." if back else "There is nothing to redo.")
            return
        entry = given.pop()
        taken.append(entry)
        self._go(entry, back=back)
        status.say(f"{'Undone' if back else 'Done again'}: {entry.tell()}.")
        self._tell()

    def _go(self, entry: Entry, *, back: bool) -> None:
        if entry.painted is not None:
            self._return_to(entry.where)
            (entry.painted.undo if back else entry.painted.redo)()
            return
        self._return_to(entry.where)
        before = self._read() if entry.steps else None
        self._now = entry.before if back else entry.after
        pickers, objects = self._panels.prompts.pickers, self._panels.objects
        show_scene(self._now, self._viewer, pickers, self._painting, objects, self._layers.given)
        self._layers.set_next(self._now.current, self._panels.prompts.positive)
        self._drawn.stop()
        after = self._read() if entry.steps else None
        if before is not None and after is not None:
            steps = partial(self._bench.rewind, before, tuple(entry.steps), after, back=back)
            show = partial(self._show_labels, after)
            self._edits.add(Call(steps, on_step=show, on_error=self._fail))

    def _return_to(self, where: Stack | None) -> None:
        """Go where something was done, so that it is seen to be undone."""
        here = self._panels.image.shown()
        if where is None or here is None or here.same_position(where):
            return
        if where.axis is not None:
            self._panels.image.play(where.axis)
        go_to(where.image, self._viewer.dims, where.held)

    def _show_labels(self, task: Task, step: Written) -> None:
        self._results.show_labels(task.stack, step.labels)

    def _fail(self, error: Exception) -> None:
        """Go on from what is there: what was done before cannot be undone either."""
        self.forget()
        self._panels.status.report(error)

    def _add(self, entry: Entry) -> None:
        self._undone.clear()
        self._done.append(entry)
        trim(self._done)
        self._tell()

    def _take_step(self, stack: Stack, step: Step, unlisted: int) -> None:
        """Note what a session has done; a run is told of again and again, as it grows."""
        if not self._is_open:  # it was told before the end, and comes after it
            return
        if any(step in entry.steps for entry in (*reversed(self._done), *self._undone)):
            self._tell()
            self.stepped.emit()
            return
        if stack.image is not self._panels.image.image():
            return
        self.stepped.emit()
        self.capture()
        causes = (one for one in reversed(self._done) if unlisted in one.before.names)
        cause = next((one for one in causes if unlisted not in one.after.names), None)
        if cause is None and self._done and self._done[-1].is_also(stack, step):
            cause = self._done[-1]
        if cause is not None:
            cause.steps.append(step)
        else:
            self._add(Entry("", self._now, self._now, stack, [step]))

    def _take(self, before: Scene | None) -> Scene:
        pickers, objects = self._panels.prompts.pickers, self._panels.objects
        return take_scene(pickers, self._painting, objects, self._layers.given, before)

    def _listen(self, layer: Any) -> None:
        """Follow what is painted on the layer of labels."""
        if layer is not self._painted:
            if self._painted is not None:
                self._painted.events.paint.disconnect(self._take_labels_stroke)
            if layer is not None:
                layer.events.paint.connect(self._take_labels_stroke)
            self._painted = layer
            self.keys.refresh()

    def _let_go(self, event: Any) -> None:
        if event.value is self._painted:
            self._listen(None)

    def _take_labels_stroke(self, event: Any) -> None:
        self._take_stroke("paint on the labels", event.source)

    def _take_prompt_stroke(self, layer: Labels) -> None:
        names = self._panels.objects.names()
        whose = names.get(int(layer.selected_label), "an object")
        self._take_stroke("erase paint" if layer.mode == "erase" else f"paint {whose}", layer)

    def _take_stroke(self, text: str, layer: Labels) -> None:
        self.capture()
        self._add(Entry(text, self._now, self._now, self._panels.image.shown(), painted=layer))

    def _is_theirs(self, layer: Any) -> bool:
        is_ours = layer is self._painting.layer or self._results.is_mine(layer)
        return isinstance(layer, Labels) and not is_ours

    def _connect(self) -> None:
        self._stepped.connect(self._take_step)
        self._bench.sessions.on_step = self._stepped.emit
        self._panels.undo.undo_button.clicked.connect(lambda: self.undo())
        self._panels.undo.redo_button.clicked.connect(lambda: self.redo())
        for layers in (self._layers, self._painting):
            layers.edited.connect(self._drawn.start)
        self._painting.stroke_ended.connect(self._take_prompt_stroke)
        self._results.labels_shown.connect(self._listen)
        self._viewer.layers.events.removed.connect(self._let_go)
        objects = self._panels.objects
        for signal in (objects.current_changed, objects.renamed, objects.removed):
            signal.connect(self._note_listed)

    def _note_listed(self, *changed: object) -> None:
        self._drawn.start()

    def _tell(self) -> None:
        """Have the buttons say what they would do."""
        self._panels.undo.show_next(
            self._done[-1].tell() if self._done else "",
            self._undone[-1].tell() if self._undone else "",
        )
