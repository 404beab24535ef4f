"""A session that was begun elsewhere, shown in the viewer and in the dock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_sam2._controls.bench import Task
from napari_sam2._layers import go_to

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.prompt_layers import PromptLayers
    from napari_sam2._controls.results import Results
    from napari_sam2.session import Session


@dataclass(frozen=True)
class Parts:
    """Where a session is shown."""

    viewer: ViewerModel
    panels: Panels
    layers: PromptLayers
    results: Results


def show_session(parts: Parts, session: Session, name: str) -> Task:
    """Show a session's data, objects, prompts and labels.

    Returns
    -------
    Task
        What a dock would ask for to come to this session.

    Raises
    ------
    ValueError
        If the image, as the viewer shows it, cannot be played like the session's.
    """
    source, panels = session.source, parts.panels
    if source.channels:
        raise ValueError(
            f"The session sees channels {source.channels} as colours, and a layer of the viewer "
            "shows one. Begin a session with that channel alone to show it."
        )
    image = _image_of(parts.viewer, session, name)
    panels.image.choose(image, source.axis or 0)
    prompts = {i: known.prompts for i, known in session.objects.items()}
    frames = sorted(frame for by_frame in prompts.values() for frame in by_frame)
    first = {} if source.axis is None or not frames else {source.axis: frames[0]}
    go_to(image, parts.viewer.dims, {**source.held, **first})
    stack = panels.image.stack()
    if (stack.axis, dict(stack.held)) != (source.axis, source.held):
        raise ValueError(
            f"The session plays axis {source.axis} and holds {source.held}; the viewer plays "
            f"{stack.axis} and holds {dict(stack.held)}. Show other axes, and try again."
        )
    panels.model.use(session.model)
    panels.objects.show_only({i: known.name for i, known in session.objects.items()})
    parts.layers.show_only(stack, prompts)
    parts.results.show_labels(stack, session.labels)
    # What the session's model saw; where the image looks otherwise, it will see that.
    limits = stack.view.contrast_limits if source.rgb else source.contrast_limits
    seen = replace(stack.view, contrast_limits=limits, gamma=source.gamma, inverted=source.inverted)
    return Task(
        stack=replace(stack, view=seen),
        model=session.model,
        names=panels.objects.names(),
        prompts=prompts,
        frame=stack.current_frame(parts.viewer.dims),
        object_id=panels.objects.current(),
    )


def _image_of(viewer: ViewerModel, session: Session, name: str) -> Any:
    """Find the layer that shows a session's data, or add one."""
    source = session.source
    for layer in viewer.layers:
        if isinstance(layer, Image):
            shown = layer.data[0] if layer.multiscale else layer.data
            if shown is source.data:
                return layer
    looks: dict[str, Any] = {"rgb": source.rgb}
    low, high = source.contrast_limits
    if not source.rgb and low < high:
        looks |= {"contrast_limits": (low, high), "gamma": source.gamma}
    if source.inverted:
        looks["colormap"] = "gray_r"
    return viewer.add_image(source.data, name=name, multiscale=False, **looks)
