"""The table of objects and the layers agree on which object is current, and which are hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject

from napari_sam2._reading import OBJECT, column

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2._controls.object_table import ObjectTable
    from napari_sam2._controls.prompt_layers import PromptLayers
    from napari_sam2._controls.results import Results

LEAST = 1023  #: labels up to here keep their colours when others are hidden, listed or not


class ObjectLinks(QObject):
    """Makes the current object napari's selected label, and the other way round; hides objects.

    Data, prompts and labels are never changed by this: points are not drawn, shapes and labels
    are drawn in no colour.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        objects: ObjectTable,
        prompts: PromptLayers,
        results: Results,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._objects, self._prompts = viewer, objects, prompts
        self._results = results
        self._labels: Labels | None = None  #: the layer whose selected label is followed
        self._colormaps: WeakKeyDictionary[Labels, Any] = WeakKeyDictionary()  #: the layers' own
        self._hidden: frozenset[int] = frozenset()
        results.labels_shown.connect(self._follow)
        objects.current_changed.connect(self._select)
        objects.visibility_changed.connect(self._show_all)
        prompts.edited.connect(self._notice_prompts)
        viewer.layers.events.inserted.connect(self._notice_layer)
        viewer.layers.events.removed.connect(self._let_go)

    def shut(self) -> None:
        """Let go of all layers, as they were."""
        self._viewer.layers.events.inserted.disconnect(self._notice_layer)
        self._viewer.layers.events.removed.disconnect(self._let_go)
        self._hide(frozenset())
        self._unfollow()

    def _follow(self, layer: Labels) -> None:
        if layer is not self._labels:
            self._unfollow()
            self._labels = layer
            layer.events.selected_label.connect(self._pick)
            layer.events.colormap.connect(self._recolor)
            self._select()
            self._hide(self._hidden, again=True)
        self._objects.use_colors(layer.colormap.map)

    def _unfollow(self) -> None:
        if self._labels is not None:
            self._labels.events.selected_label.disconnect(self._pick)
            self._labels.events.colormap.disconnect(self._recolor)
            self._labels = None

    def _let_go(self, event: Any) -> None:
        if event.value is self._labels:
            self._unfollow()

    def _select(self, object_id: int = 0) -> None:
        current = self._objects.current()
        if self._labels is not None and self._labels.selected_label != current:
            self._labels.selected_label = current

    def _pick(self, event: Any = None) -> None:
        if self._labels is not None:
            self._objects.make_current(int(self._labels.selected_label))

    def _recolor(self, event: Any = None) -> None:
        """Follow colours that the user has chosen or shuffled."""
        if self._labels is None:
            return
        if self._hidden and not isinstance(self._labels.colormap, DirectLabelColormap):
            self._color(self._labels)  # and this is called again
            return
        self._objects.use_colors(self._labels.colormap.map)
        self._results.changed.emit()

    def _show_all(self) -> None:
        self._hide(self._objects.hidden())

    def _notice_layer(self, event: Any) -> None:
        if self._hidden:
            self._hide(self._hidden, again=True)

    def _notice_prompts(self) -> None:
        """Show what is being prompted; what was drawn on a hidden object stays hidden else."""
        current = self._objects.current()
        if current in self._hidden and self._prompts.tool:
            self._objects.model.set_visible([current], visible=True)
        elif self._hidden:
            self._hide(self._hidden, again=True)

    def _hide(self, hidden: frozenset[int], *, again: bool = False) -> None:
        if hidden == self._hidden and not again:
            return
        self._hidden = hidden
        for labels in (*self._results.layers(), *self._prompts.given.layers()):
            self._color(labels)
        for layer in self._prompts.layers():
            owners = column(layer, OBJECT, self._objects.current())
            shown = ~np.isin(np.array(owners, dtype=int), list(hidden))
            if isinstance(layer, Points):
                if not np.array_equal(layer.shown, shown):
                    layer.shown = shown
            else:
                _show_shapes(layer, shown)

    def _color(self, layer: Labels) -> None:
        """Draw hidden labels in no colour, all others in their own."""
        if not isinstance(layer.colormap, DirectLabelColormap):  # or it is one of ours
            self._colormaps[layer] = layer.colormap
        own = self._colormaps.get(layer)
        if own is None:
            return
        if not self._hidden:
            layer.colormap = self._colormaps.pop(layer)
            return
        ids = np.arange(1, max(LEAST, *self._objects.names()) + 1)
        colors = own.map(ids)
        colors[np.isin(ids, list(self._hidden)), 3] = 0
        by_id: dict[int | None, np.ndarray] = dict(zip(ids.tolist(), colors, strict=True))
        by_id |= {None: np.array([0.5, 0.5, 0.5, 1.0]), 0: np.zeros(4)}
        layer.colormap = DirectLabelColormap(color_dict=by_id)


def _show_shapes(layer: Shapes, shown: np.ndarray) -> None:
    """Draw some shapes in no colour; only where colours follow the sign, as on our own layer."""
    if layer.edge_color_mode != "cycle" or not len(shown):
        return
    for index, (color, is_shown) in enumerate(zip(layer.edge_color, shown, strict=True)):
        alpha = float(is_shown)
        if color[3] != alpha:
            # The setter for all would end that colours follow the sign.
            layer._data_view.update_edge_color(index, (*color[:3], alpha))
    layer.refresh()
