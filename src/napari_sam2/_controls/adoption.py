"""A session that was begun elsewhere, shown in the viewer and in the dock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dask.array as da  # which napari brings
import numpy as np
from napari.layers import Image

from napari_sam2._controls.tasks import Task
from napari_sam2._layers import Channels, full, go_to
from napari_sam2.predictors.channels import Blank, SideBySide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.components import ViewerModel

    from napari_sam2._controls.painting import Painting
    from napari_sam2._controls.panels import Panels
    from napari_sam2._controls.prompt_layers import PromptLayers
    from napari_sam2._controls.results import Results
    from napari_sam2._layers import Stack
    from napari_sam2.predictors.frames import FrameSource, View
    from napari_sam2.prompts import Prompt
    from napari_sam2.session import Session

COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class Parts:
    """Where a session is shown."""

    viewer: ViewerModel
    panels: Panels
    layers: PromptLayers
    results: Results
    painting: Painting


def show_session(
    parts: Parts, session: Session, stack: Stack, others: Sequence[Session] = ()
) -> Task:
    """Show a session's objects, prompts and labels.

    Parameters
    ----------
    parts : Parts
    session : Session
    stack : Stack
        Its image, as `show_image` gives it.
    others : sequence of Session
        At other places in the same data, whose objects and prompts are shown as well.

    Returns
    -------
    Task
        What a dock would ask for to come to this session.
    """
    panels = parts.panels
    parts.painting.set_aside()
    panels.model.use(session.model)
    panels.model.use_settings(session.settings)
    everywhere = (*others, session)
    names = {i: known.name for one in everywhere for i, known in one.objects.items()}
    ours = {i: known.name for i, known in session.objects.items()}
    panels.objects.show_only({**ours, **names})
    elsewhere = [
        (stack.elsewhere(one.source.axis or 0, one.source.held), _prompts(one)) for one in others
    ]
    parts.layers.show_only(stack, _prompts(session), elsewhere)
    parts.results.show_labels(stack, session.labels)
    return Task(
        stack=replace(stack, view=_seen(stack.view, session.source)),
        model=session.model,
        settings=panels.model.settings(),
        names=panels.objects.names(),
        prompts=_prompts(session),
        frame=stack.current_frame(parts.viewer.dims),
        object_id=panels.objects.current(),
    )


def show_image(parts: Parts, session: Session, name: str) -> Stack:
    """Show a session's image, on its first frame with prompts.

    Parameters
    ----------
    parts : Parts
    session : Session
    name : str
        Of the image layer, if it has to be added.

    Raises
    ------
    ValueError
        If the image, as the viewer shows it, cannot be played like the session's.
    """
    source, panels = session.source, parts.panels
    image, channels = _images_of(parts.viewer, session, name)
    shift = _shift(channels.axis)
    for drawing in (parts.layers, parts.painting):
        drawing.put_down()
    panels.image.choose(image, shift(source.axis or 0), channels)
    frames = [frame for by_frame in _prompts(session).values() for frame in by_frame]
    axis = None if source.axis is None else shift(source.axis)
    held = {shift(i): at for i, at in source.held.items()}
    first = {} if axis is None or not frames else {axis: min(frames)}
    go_to(image, parts.viewer.dims, {**held, **first})
    stack = panels.image.stack()
    if (stack.axis, dict(stack.held)) != (axis, held):
        raise ValueError(
            f"The session plays axis {axis} and holds {held}; the viewer plays "
            f"{stack.axis} and holds {dict(stack.held)}. Show other axes, and try again."
        )
    return stack


def _prompts(session: Session) -> dict[int, Mapping[int, tuple[Prompt, ...]]]:
    return {i: known.prompts for i, known in session.objects.items()}


def _seen(view: View, source: FrameSource) -> View:
    """Give what the session's model saw; where the image looks otherwise, it will see that."""
    view = replace(view, gamma=source.gamma, inverted=source.inverted)
    if source.rgb:
        return view
    limits = source.limits if len(set(source.limits)) > 1 else source.limits[0]
    return replace(view, contrast_limits=limits)


def _shift(channel_axis: int | None) -> Callable[[int], int]:
    """Count axes with that of the channels, where the layer has it."""
    return lambda axis: axis if channel_axis is None or axis < channel_axis else axis + 1


def _images_of(viewer: ViewerModel, session: Session, name: str) -> tuple[Any, Channels]:
    """Find the layers that show a session's data, or add them: of channels one each."""
    source = session.source
    if (layer := _showing(viewer, source.data)) is not None:
        return layer, Channels(source.channel_axis, source.channels)
    if source.channel_axis is not None:
        layers = _add_channels(viewer, session, name)
        return layers[0], Channels(layers=layers) if len(layers) > 1 else Channels()
    looks = {"rgb": source.rgb, **_looks(source, 0)}
    return viewer.add_image(source.data, name=name, multiscale=False, **looks), Channels()


def _showing(viewer: ViewerModel, data: Any) -> Any:
    """Find the layer that shows data; None if there is none."""
    images = (layer for layer in viewer.layers if isinstance(layer, Image))
    return next((layer for layer in images if full(layer) is data), None)


def _add_channels(viewer: ViewerModel, session: Session, name: str) -> tuple[Any, ...]:
    """Give a layer for each channel that the model sees; add it in its colour and contrast."""
    source = session.source
    colors = COLORS if len(source.channels) > 1 else ("gray",)
    names = dict(enumerate(name for name, _ in session.origin.layers))
    layers = []
    for place, (channel, color) in enumerate(zip(source.channels, colors, strict=False)):
        data = _channel(source, channel)
        if isinstance(data, Blank):
            continue
        layers.append(
            _showing(viewer, data)
            or viewer.add_image(
                data,
                name=names.get(channel, f"{name} ({channel})"),
                multiscale=False,
                blending="additive",
                rgb=False,
                **{"colormap": color, **_looks(source, place)},
            )
        )
    return tuple(layers)


def _channel(source: FrameSource, channel: int) -> Any:
    """Give one channel of a source's data, as a layer can show it."""
    data: Any = source.data
    if isinstance(data, SideBySide):
        return data.parts[channel]
    if not isinstance(data, np.ndarray):
        data = da.from_array(data)  # type: ignore[no-untyped-call]
    return data[(*(slice(None),) * (source.channel_axis or 0), channel)]


def _looks(source: FrameSource, place: int) -> dict[str, Any]:
    """Give how a channel looks, where that can be said of a layer."""
    looks: dict[str, Any] = {}
    low, high = source.limits[place if len(source.limits) > 1 else 0]
    if not source.rgb and low < high:
        gamma = source.gamma
        looks = {
            "contrast_limits": (low, high),
            "gamma": gamma[place] if isinstance(gamma, tuple) else gamma,
        }
    if source.inverted:
        looks["colormap"] = "gray_r"
    return looks
