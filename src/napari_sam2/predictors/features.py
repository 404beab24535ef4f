"""What the image encoder says of frames, kept for as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock, get_ident
from typing import TYPE_CHECKING

import torch

from napari_sam2.model.sam2 import ImageFeatures
from napari_sam2.predictors.device import autocast
from napari_sam2.predictors.feature_store import FeatureStore, Maps
from napari_sam2.predictors.heap import trim
from napari_sam2.predictors.transforms import frame_to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from torch import Tensor, nn

    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictors.frames import Frames
    from napari_sam2.predictors.windows import Window

TRIMMED_AFTER = 16  #: images encoded on the CPU; it takes some 10 ms


class _GivenUpError(Exception):
    """Something more urgent is to be computed."""


class FeatureCache:
    """Features of frames of a source, seen through windows: computed when asked for.

    The latest are kept.

    Parameters
    ----------
    model : SAM2
    source : Frames
    precision : torch.dtype
        Of the computation.
    max_bytes : int
        How much is kept; beyond it those longest unused are dropped, and encoded anew when
        they are asked for again.
    store : FeatureStore, optional
        Where features are kept beyond that, and from one session to the next.
    """

    def __init__(
        self,
        model: SAM2,
        source: Frames,
        *,
        precision: torch.dtype = torch.float32,
        max_bytes: int = 64 * 2**20,
        store: FeatureStore | None = None,
    ) -> None:
        self.model = model
        self.source = source
        self.precision = precision
        self.max_bytes = max_bytes
        self.store = store
        self.nbytes = 0  #: of what is kept
        self._lock = Lock()  # frames are prepared while others are looked at
        self._encoded = 0  # images so far
        self._kept: OrderedDict[tuple[int, Window], ImageFeatures] = OrderedDict()
        self._prompt_positions: Tensor | None = None  # always the same: kept once

    @torch.inference_mode()
    def __getitem__(self, key: tuple[int, Window]) -> ImageFeatures:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        frame, window = key
        # Without the lock: what is kept is given to others meanwhile.
        features = self._features(self.source.read(frame, window.region))
        with self._lock:
            if key in self._kept:  # another thread was faster
                return self._kept[key]
            self._kept[key] = features
            self.nbytes += _size(features)
            while len(self._kept) > 1 and self.nbytes > self.max_bytes:
                _, dropped = self._kept.popitem(last=False)
                self.nbytes -= _size(dropped)
        return features

    def prepare(self, frame: int, window: Window, stop: Callable[[], bool]) -> bool:
        """Compute features before they are asked for; give up as soon as `stop` says so.

        Returns
        -------
        bool
            Whether they are there.
        """
        mine = get_ident()

        def look_up(*_: object) -> None:
            if get_ident() == mine and stop():
                raise _GivenUpError

        encoder = self.model.image_encoder
        # Hooks on a compiled one would have it compiled anew.
        is_compiled = getattr(encoder, "_compiled_call_impl", None) is not None
        blocks: Iterable[nn.Module] = [] if is_compiled else encoder.trunk.blocks
        hooks = [block.register_forward_pre_hook(look_up) for block in blocks]
        try:
            look_up()
            self[frame, window]
        except _GivenUpError:
            return False
        finally:
            for hook in hooks:
                hook.remove()
        return True

    def __len__(self) -> int:
        return len(self._kept)

    def _features(self, image: np.ndarray) -> ImageFeatures:
        if self.store is None:
            return self._encode(image)
        path = self.store.path(image)
        if found := self.store.get(path):
            positions = self.model.get_buffer("image_positions")
            return ImageFeatures(
                found.embedding, positions, self._positions(), (found.stride4, found.stride8)
            )
        features = self._encode(image)
        self.store.put(path, Maps(features.embedding, *features.high_resolution))
        return features

    def _encode(self, image: np.ndarray) -> ImageFeatures:
        pixels = frame_to_pixels(image, self.model.config.image_size, self.model.device)
        with autocast(self.model.device, self.precision):
            features = self.model.encode_image(pixels)
        self._encoded += 1
        if self._encoded % TRIMMED_AFTER == 0 and self.model.device.type == "cpu":
            trim()
        return features._replace(prompt_positions=self._positions(features.prompt_positions))

    def _positions(self, made: Tensor | None = None) -> Tensor:
        if self._prompt_positions is None:
            with autocast(self.model.device, self.precision):
                made = self.model.sam_prompt_encoder.dense_positions() if made is None else made
            self._prompt_positions = made
        return self._prompt_positions


def _size(features: ImageFeatures) -> int:
    """Give the memory that the features of one window take for themselves, in bytes.

    A view keeps all of the memory that it looks at.
    """
    own = [x.untyped_storage() for x in (features.embedding, *features.high_resolution)]
    return sum({one.data_ptr(): one.nbytes() for one in own}.values())
