"""The tools to prompt with, whichever layer they draw on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2._worker import Call, ignore

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_sam2._controls.adoption import Parts
    from napari_sam2._worker import Queue


class Tools:
    """Takes tools up and puts them down as the panel says, and says which one is in hand.

    Parameters
    ----------
    parts : Parts
    edits : Queue
        Where longer work is done.
    """

    def __init__(self, parts: Parts, edits: Queue) -> None:
        self._viewer, self._panels, self._edits = parts.viewer, parts.panels, edits
        self._layers, self._painting = parts.layers, parts.painting
        panels = self._panels
        for source in (self._layers, self._painting):
            source.tool_changed.connect(self._show)
            source.object_picked.connect(panels.objects.make_current)
        self._layers.click_without_box.connect(self._explain_boxes)
        panels.objects.current_changed.connect(self.set_next)
        panels.prompts.sign_changed.connect(self.set_next)
        panels.prompts.tool_taken.connect(self.take)
        panels.prompts.tool_put_down.connect(self.put_down)
        panels.prompts.labels_wanted.connect(self._use_labels)

    @property
    def in_hand(self) -> str:
        """The tool in the hand, by its name on the panel; or empty."""
        return self._layers.tool or ("brush" if self._painting.in_hand else "")

    def set_next(self, object_id: int = 0) -> None:
        """Have the next prompts be of the current object, and of the sign that is shown."""
        current = self._panels.objects.current()
        self._layers.set_next(current, self._panels.prompts.positive)
        self._painting.set_next(current)

    def take(self, tool: str) -> None:
        """Take up a tool, and say so where it cannot be."""
        try:
            stack = self._panels.image.stack()
            if tool == "brush":
                self._painting.take_up(stack, self._panels.objects.current())
            else:
                self._layers.take_up(tool, stack)
        except ValueError as error:
            self._panels.prompts.show_tool("")
            self._panels.status.complain(str(error))

    def put_down(self) -> None:
        """Go back to moving the image."""
        self._layers.put_down()
        self._painting.put_down()

    def _show(self, tool: str = "") -> None:
        self._panels.prompts.show_tool(self.in_hand)

    def _use_labels(self, source: Labels, is_all: bool) -> None:
        """Begin with the objects of a layer of labels."""
        try:
            stack = self._panels.image.stack()
            here = [stack.current_frame(self._viewer.dims)]
            steps = self._painting.copy(stack, source, range(stack.n_frames) if is_all else here)
        except ValueError as error:
            self._panels.status.complain(str(error))
            return
        call = Call(lambda: steps, ignore, on_error=self._fail, on_done=self._painting.show)
        self._edits.add(call)

    def _fail(self, error: Exception) -> None:
        self._panels.status.fail(error)
        self._painting.show()  # what is there all the same

    def _explain_boxes(self) -> None:
        self._panels.status.complain("Drag to draw a box; for a click, take the point tool.")
