"""What the dock does: reads the parts, has a worker call the session, and shows the answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject

from napari_sam2._controls.adoption import Parts, show_image, show_session
from napari_sam2._controls.autosaver import Autosaver
from napari_sam2._controls.before import Before
from napari_sam2._controls.belongings import Belongings
from napari_sam2._controls.bench import Bench
from napari_sam2._controls.choosing import Choosing
from napari_sam2._controls.drawing import leave_out_strays
from napari_sam2._controls.files import Files
from napari_sam2._controls.follower import Follower
from napari_sam2._controls.idle import Idle
from napari_sam2._controls.keys import Keys
from napari_sam2._controls.last_moments import LastMoments
from napari_sam2._controls.leftovers import Leftovers
from napari_sam2._controls.merging import Merger
from napari_sam2._controls.model_view import Looking
from napari_sam2._controls.news import NewsReader
from napari_sam2._controls.object_links import ObjectLinks
from napari_sam2._controls.overlap_box import OverlapChooser
from napari_sam2._controls.painting import Painting
from napari_sam2._controls.place_watch import PlaceWatch
from napari_sam2._controls.previewing import Previewer
from napari_sam2._controls.prompt_layers import PromptLayers
from napari_sam2._controls.results import Results
from napari_sam2._controls.reviewer import Reviewer
from napari_sam2._controls.tasks import Task
from napari_sam2._controls.timeline import Timeline
from napari_sam2._controls.tools import Tools
from napari_sam2._reading import read_prompts
from napari_sam2._worker import Call, Queue, ignore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel

    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.tasks import Written
    from napari_sam2._layers import Stack
    from napari_sam2.session import Session


class Annotator(QObject):
    """Does what the buttons and keys ask for.

    Parameters
    ----------
    viewer : ViewerModel
    panels : Panels
    parent : QObject
    """

    def __init__(self, viewer: ViewerModel, panels: Panels, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._panels = viewer, panels
        self._bench = Bench()
        self._edits = Queue()
        self._is_open = True
        self.keys = Keys(
            viewer,
            {
                "S": self.segment,
                "Shift-S": self.propagate,
                "T": self.toggle_sign,
                "C": self.accept,
                "Shift-C": self.clear_prompts,
                "N": self.new_object,
            },
        )
        self.layers = PromptLayers(viewer, panels.prompts.pickers, self)
        self.painting = Painting(viewer, self)
        self.results = Results(viewer, self.layers, self)
        self._parts = parts = Parts(viewer, panels, self.layers, self.results, self.painting)
        self.tools = Tools(parts, self._edits)
        # Before whoever else hears of another image: nothing is read of one for another.
        self.belongings = Belongings(parts, self.tools)
        self.follower = Follower(viewer, panels, self._bench, self.results)
        self.previews = Previewer(parts, self._bench, self._edits, self._read, self)
        self.overlaps = OverlapChooser(parts, self._bench, self._edits, self._read)
        self.timeline = Timeline(parts, self._bench, self.follower, self._edits, self._read)
        self.news = NewsReader(parts, self._bench, self.timeline, lambda: self._is_writing, self)
        doing = self.news, self._bench, self.timeline, self._edits
        self.merger = Merger(parts, *doing, self._read)
        self.links = ObjectLinks(viewer, panels.objects, self.layers, self.results, self)
        self.reviewer = Reviewer(viewer, panels, self._bench, self.follower, self._read, self)
        self.place = PlaceWatch(viewer, panels, self)
        self.before = Before(viewer, panels, self._bench, self.results, self)
        self.choosing = Choosing(viewer, panels, self._bench, self.layers, self.results)
        self.looking = Looking(viewer, panels, self._bench, self)
        self.results.previewed.connect(self.looking.update)
        self.idle = Idle(parts, self._bench, lambda: self.is_busy, self)
        self.autosaver = Autosaver(self._bench, panels.status.complain, self)
        self.leftovers = Leftovers(viewer, self._bench, self.autosaver, self._read, self)
        self.files = Files(viewer, panels, self._bench, self.autosaver, self._read, self.adopt)
        reading = self._bench, self.previews, self._read
        self.last_moments = LastMoments(viewer, panels.image.images, *reading, self)
        self._connect()
        self.keys.take()
        self._change_image()

    @property
    def is_busy(self) -> bool:
        """Whether a preview or a run is under way or about to begin."""
        return self.previews.is_busy or self.follower.is_running

    @property
    def _is_writing(self) -> bool:
        """Whether labels are being written, and shown as they are."""
        return self.follower.is_running or self._edits.is_running

    def adopt(self, session: Session, name: str = "image", others: Sequence[Session] = ()) -> None:
        """Go on with a session: show its data, objects, prompts and labels.

        Its prompts are drawn on layers of their own, whatever others hold. Layers of a session
        that it takes the place of go, once that is in a file; see `Leftovers`.

        Parameters
        ----------
        session : Session
        name : str
            Of the image layer, if it has to be added.
        others : sequence of Session
            At other places in the same data; see `Session.at`.

        Raises
        ------
        ValueError
            If the image, as the viewer shows it, cannot be played like the session's.
        """
        self._start_over("another session was opened")
        stack = show_image(self._parts, session, name)
        leftovers = self.leftovers.gather(stack.image, session.labels)
        task = show_session(self._parts, session, stack, others)
        earlier = self._bench.sessions.adopt(task, session, others)
        self.leftovers.clear(leftovers, earlier)
        self.files.note_replaced(stack.image, earlier)
        self.timeline.forget()
        self.overlaps.show()
        self._panels.model.show_device(self._bench.device)

    def session(self) -> Session:
        """Give the session of the chosen image, as it is drawn and listed; made if need be.

        Raises
        ------
        ValueError
            If there is no image, or if prompts make no sense.
        """
        task = self._read()
        if task is None:
            raise ValueError(self._panels.status.label.text())
        return self._bench.session(task)

    def segment(self) -> None:
        """Find the objects that are prompted on this frame, and show them as a preview."""
        self.previews.begin()

    def propagate(self) -> None:
        """Follow the prompted objects, and write them to the labels."""
        task = self._read()
        if task is None or self.follower.is_running:
            return
        if not task.prompts:
            self._panels.status.complain(
                "Nothing to follow: add a point, a box or an outline first."
            )
            return
        # Previews of frames that are about to be written would come late.
        self.previews.stop()
        self.follower.start(task)

    def cancel(self) -> None:
        """Stop following, or else looking at this frame; what was found stays."""
        (self.follower if self.follower.is_running else self.previews).cancel()

    def accept(self) -> None:
        """Write the current object's preview on this frame to the labels."""
        task = self._read()
        if task is None:
            return
        candidates = self.results.candidates(task.stack, task.object_id, task.frame)
        if candidates is None:
            self._panels.status.complain(
                "Nothing to accept: prompt the current object on this frame."
            )
            return
        self._panels.status.say(
            f"{task.names[task.object_id]} is in the labels of frame {task.frame}."
        )
        self.results.forget(task.object_id)
        self._edit(task.stack, partial(self._bench.accept, task, candidates))

    def clear_prompts(self) -> None:
        """Remove the current object's prompts from this frame."""
        task = self._read()
        if task is not None:
            self.layers.remove(task.stack, task.object_id, task.frame)
            self.painting.remove(task.stack, task.object_id, task.frame)

    def new_object(self) -> None:
        """Begin a new object."""
        self._panels.objects.begin()

    def toggle_sign(self) -> None:
        """Change the sign of the selected prompts, or else of the next one."""
        if not self.layers.flip_selected():
            self._panels.prompts.set_positive(not self._panels.prompts.positive)

    def shut(self) -> None:
        """Stop all work, and let go of the viewer, its layers and its keys."""
        if not self._is_open:
            return
        # What waits is done by the thread that saves: the window is free to go.
        is_late = self.is_busy and self._panels.image.image() is not None
        last = self.last_moments.steps() if is_late else []
        self._is_open = False
        waiting = [*self._edits.hand_over(), *self.reviewer.hand_over(), *last]
        self.autosaver.do_first(waiting)
        # The reviewer hears of the table, which its links still change as they go: after them.
        for part in (
            *(self.follower, self.files, self.links, self.reviewer, self.before, self.news),
            *(self.last_moments, self.place, self.choosing, self.looking, self.idle),
            self._panels.model,
        ):
            part.shut()
        self._panels.image.disconnect_viewer()
        self.keys.give_back()
        self.timeline.close()
        self._viewer.layers.events.removed.disconnect(self._let_go)
        self.layers.close()
        self.painting.close()
        self.results.close()
        prompts = self._panels.prompts
        for picker in (prompts.labels, *prompts.pickers.values()):
            picker.disconnect_viewer()
        self.previews.stop()  # here, as layers and tables that are let go ask for one more

    def _read(self) -> Task | None:
        """Read layers and controls at once; say so where they make no sense."""
        self.timeline.capture()
        current = self._panels.objects.current()
        try:
            stack = self._panels.image.stack()
            self.layers.split_boxes(stack, current, self._panels.objects.begin)
            layers = self.layers.layers()
            given = self.layers.given.of(stack)
            reading = read_prompts(stack, self._viewer.dims, layers, current, given)
            reading = self.painting.add_to(leave_out_strays(stack, reading), stack)
        except ValueError as error:
            self._panels.status.complain(str(error))
            return None
        self._panels.objects.include(reading.prompts)
        self.timeline.amend()
        self._panels.objects.model.show_prompts(reading.prompts)
        self._panels.status.note("; ".join(reading.notices))
        task = Task(
            stack=stack,
            model=self._panels.model.model(),
            settings=self._panels.model.settings(),
            names=self._panels.objects.names(),
            prompts=reading.prompts,
            frame=stack.current_frame(self._viewer.dims),
            object_id=self._panels.objects.current(),
        )
        # Or two sessions would write the same labels.
        self.follower.give_way(task, "the image is seen in another way")
        return task

    def _edit(self, stack: Stack, steps: Any) -> None:
        show = partial(self._show_written, stack)
        self._edits.add(Call(steps, on_step=show, on_error=self._panels.status.fail))

    def _show_written(self, stack: Stack, step: Written) -> None:
        self.results.show_labels(stack, step.labels)

    def _remove_objects(self, object_ids: tuple[int, ...], current: int) -> None:
        self.results.forget(*object_ids)
        stack = self._panels.image.shown()
        if stack is None:
            return
        self.layers.remove_objects(stack, object_ids, current)
        for object_id in object_ids:
            self.painting.remove(stack, object_id)
        task = self._read()
        if task is not None:
            self._edit(task.stack, partial(self._bench.synchronise, task))

    def _change_image(self) -> None:
        stack = self._panels.image.shown()
        n_frames, place = (1, None) if stack is None else (stack.n_frames, stack.which)
        self._panels.track.set_n_frames(n_frames, place)
        self._start_over("the image or its axis was changed")
        self.timeline.follow_image()

    def _change_model(self) -> None:
        self._start_over("another model was chosen")

    def _start_over(self, why: str = "") -> None:
        self.follower.cancel(why)
        self.results.forget_all()
        self.previews.start_over()

    def _let_go(self, event: Any) -> None:
        """Stop work on an image that is removed, and keep nothing of it."""
        if isinstance(event.value, Image):
            self.follower.let_go(event.value)
            self.results.let_go(event.value)
            steps = partial(self._bench.let_go, event.value)
            # What was found is saved, and then nothing of the image is held any more.
            save, fail = self.autosaver.save, self._panels.status.fail
            self._edits.add(Call(steps, on_step=ignore, on_error=fail, on_done=save))

    def _connect(self) -> None:
        panels = self._panels
        self.layers.edited.connect(self.previews.begin_soon)
        self.results.changed.connect(self.reviewer.refresh)
        self.painting.edited.connect(self.previews.begin_soon)
        for follow in (self.reviewer.refresh, self.overlaps.show):
            self.place.moved.connect(follow)
        panels.objects.removed.connect(self._remove_objects)
        panels.objects.renamed.connect(self.previews.begin_soon)
        self.results.labels_shown.connect(self.autosaver.watch_painting)
        panels.image.changed.connect(self._change_image)
        panels.model.changed.connect(self._change_model)
        panels.model.failed.connect(panels.status.fail)
        self._viewer.layers.events.removed.connect(self._let_go)
        for button, action in (
            (panels.prompts.sign_button, self.toggle_sign),
            (panels.prompts.clear_button, self.clear_prompts),
            (panels.track.segment_button, self.segment),
            (panels.track.propagate_button, self.propagate),
            (panels.track.cancel_button, self.cancel),
            (panels.track.accept_button, self.accept),
        ):
            button.clicked.connect(lambda checked=False, action=action: action())
