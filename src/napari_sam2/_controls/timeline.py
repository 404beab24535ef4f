"""What was done in the dock, in order: drawn, listed, painted, computed; undone and redone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from app_model.types import KeyCode, KeyMod
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2._controls.keys import Keys
from napari_sam2._controls.pasts import Pasts
from napari_sam2._controls.scenes import Scene, show_scene, take_scene
from napari_sam2._controls.sessions import ignore_step
from napari_sam2._layers import go_to
from napari_sam2._worker import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._controls.bench import Bench
    from napari_sam2._controls.entries import Entry
    from napari_sam2._controls.follower import Follower
    from napari_sam2._controls.pasts import Past
    from napari_sam2._controls.tasks import Task, Written
    from napari_sam2._layers import Stack
    from napari_sam2._worker import Queue
    from napari_sam2.session import Step

RETRY_MS = 20
CTRL_Z = KeyMod.CtrlCmd | KeyCode.KeyZ
CTRL_SHIFT_Z = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ


class Timeline(QObject):
    """Keeps what was drawn and listed before and after each thing done, and undoes it.

    Each image has a past of its own, and what is undone is of the one that is chosen.

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
        self._painted: WeakSet[Labels] = WeakSet()  #: the layers that are listened to
        self._pasts = Pasts(self._take(None))
        self._drawn = QTimer(self)
        self._drawn.setSingleShot(True)
        self._drawn.timeout.connect(self.capture)
        # napari's own undo stays on the user's labels; Ctrl-Y is napari's, too: it turns to 3D.
        actions = {CTRL_Z: self.undo, CTRL_SHIFT_Z: self.redo}
        self.keys = Keys(self._viewer, actions, leaves=self._is_theirs)
        self._connect()
        self.keys.take()
        self._tell()

    @property
    def past(self) -> Past:
        """What was done with the image that is worked on."""
        return self._pasts.at_hand

    def capture(self) -> None:
        """Note what was drawn or listed since."""
        if not self._is_current:
            return
        self._drawn.stop()
        if self.past.note(self._take(self.past.now), self._panels.image.shown()):
            self._note()

    def amend(self) -> None:
        """Note what follows from what was drawn, such as objects of further boxes, with it."""
        if self._is_current:
            self._drawn.stop()
            self.past.amend(self._take(self.past.now))

    def relist(self, step: Step | None) -> None:
        """Note that objects are listed otherwise, by a step of the session or by none."""
        if self._is_current:
            self.past.relist(step, self._take(self.past.now))

    def note_drawn(self, step: Step | None) -> None:
        """Note what was drawn because of a step of the session, to be undone with it."""
        done = self.past.done
        if step is None or not done or step not in done[-1].steps:
            self.capture()
        else:
            self.amend()

    def undo(self) -> None:
        """Undo what was done last."""
        self._rewind(self.undo, back=True)

    def redo(self) -> None:
        """Do again what was undone last."""
        self._rewind(self.redo, back=False)

    def follow_image(self) -> None:
        """Go on with what was done with the image that is chosen; anew if its pixels are others."""
        if not self._is_open:
            return
        stack = self._panels.image.shown()
        left, now = self.past.image, self._take(self.past.now)
        past = self._pasts.turn_to(self._panels.image.image(), now)
        if left is not None and left not in self._viewer.layers:
            self._pasts.drop(left)
        earlier, past.stack = past.stack, stack
        if earlier is None or stack is None or not earlier.same_layer(stack):
            self.forget()
        else:  # what was drawn for other images meanwhile, on layers that are everyone's
            self.capture()
            self._tell()

    def forget(self) -> None:
        """Begin anew: nothing that was done with the chosen image before can be undone."""
        if not self._is_current:
            return
        self._drawn.stop()
        self.past.forget(self._take(self.past.now))
        self._tell()

    def close(self) -> None:
        """Give back the keys, and follow nothing more."""
        self.keys.give_back()
        self._bench.sessions.on_step = ignore_step
        self._is_open = False
        self._drawn.stop()
        self._viewer.layers.events.removed.disconnect(self._let_go)
        for layer in list(self._painted):
            layer.events.paint.disconnect(self._take_labels_stroke)

    @property
    def _is_current(self) -> bool:
        """Whether what is drawn and listed is of the image whose past is at hand.

        As another one is chosen, it is not for a moment.
        """
        return self._is_open and self._panels.image.image() is self.past.image

    def _rewind(self, again: Callable[[], None], *, back: bool) -> None:
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
        given, taken = self.past.done, self.past.undone
        if not back:
            given, taken = taken, given
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
        self.past.now = now = entry.before if back else entry.after
        pickers, objects = self._panels.prompts.pickers, self._panels.objects
        show_scene(now, self._viewer, pickers, self._painting, objects, self._layers.given)
        self._layers.set_next(now.current, self._panels.prompts.positive)
        self._drawn.stop()
        after = self._read() if entry.steps else None
        if before is not None and after is not None:
            steps = partial(self._bench.rewind, before, tuple(entry.steps), after, back=back)
            show = partial(self._show_labels, after)
            self._edits.add(Call(steps, on_step=show, on_error=partial(self._fail, self.past)))

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

    def _fail(self, past: Past, error: Exception) -> None:
        """Go on from what is there: what was done before cannot be undone either."""
        if past is self.past:
            self.forget()
        else:
            past.forget(past.now)
        self._panels.status.report(error)

    def _take_step(self, stack: Stack, step: Step, unlisted: int) -> None:
        """Note what a session has done; a run is told of again and again, as it grows."""
        past = self._pasts.of(stack.image)
        if not self._is_open or past is None:  # it was told before the end, and comes after it
            return
        if past is self.past:
            self.stepped.emit()
        if not past.knows(step):
            if past is self.past:
                self.capture()
            past.note_step(stack, step, unlisted)
        self._note()

    def _note(self) -> None:
        """Keep within the room that there is, and show what was noted."""
        self._pasts.trim()
        self._tell()

    def _take(self, before: Scene | None) -> Scene:
        pickers, objects = self._panels.prompts.pickers, self._panels.objects
        return take_scene(pickers, self._painting, objects, self._layers.given, before)

    def _listen(self, layer: Labels) -> None:
        """Follow what is painted on a layer of labels, whichever image is chosen."""
        if layer not in self._painted:
            self._painted.add(layer)
            layer.events.paint.connect(self._take_labels_stroke)
            self.keys.refresh()

    def _let_go(self, event: Any) -> None:
        if event.value in self._painted:
            self._painted.discard(event.value)
            event.value.events.paint.disconnect(self._take_labels_stroke)
        self._pasts.drop(event.value)

    def _take_labels_stroke(self, event: Any) -> None:
        stack = self._bench.stack_of_labels(event.source.data)
        if stack is not None:
            self._take_stroke("paint on the labels", event.source, stack.image)

    def _take_prompt_stroke(self, layer: Labels) -> None:
        names = self._panels.objects.names()
        whose = names.get(int(layer.selected_label), "an object")
        self._take_stroke(
            "erase paint" if layer.mode == "erase" else f"paint {whose}", layer, self.past.image
        )

    def _take_stroke(self, text: str, layer: Labels, image: Any) -> None:
        self.capture()
        if past := self._pasts.of(image):
            where = self._panels.image.shown() if past is self.past else past.stack
            past.note_stroke(text, layer, where)
            self._note()

    def _is_theirs(self, layer: Any) -> bool:
        if not isinstance(layer, Labels) or layer in self._painted:
            return False
        return layer is not self._painting.layer and not self._results.is_mine(layer)

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
            self.past.done[-1].tell() if self.past.done else "",
            self.past.undone[-1].tell() if self.past.undone else "",
        )
