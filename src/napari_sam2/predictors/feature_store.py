"""Image features on disk, so that frames that were seen once need not be encoded again."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from napari_sam2.model.sam2 import SAM2

PREFIX = "features-"  #: of every file of ours; no other is ever touched
FORMAT = "1"  #: changes with what the files hold


class Maps(NamedTuple):
    """What the encoder says of one window, without what is the same for all."""

    embedding: Tensor  #: (1, C, H / 16, W / 16)
    stride4: Tensor  #: (1, C / 8, H / 4, W / 4)
    stride8: Tensor  #: (1, C / 4, H / 8, W / 8)


class FeatureStore:
    """A folder of image features, each in a file of its own.

    A file is found by a hash of the pixels that the model was shown, of the weights that
    encode them, of the kind of device and of the precision: whatever changes one of them, be
    it the data, the contrast or the window, has features of its own, and nothing else has.

    Whatever is wrong with a file, the features are encoded anew. What cannot be written, on a
    full disk say, is not; that is said once.

    Parameters
    ----------
    folder : Path
        Made when it is first written to.
    model : SAM2
    precision : torch.dtype
        Of the computation.
    max_bytes : int
        Of all files together; beyond it those longest unused are removed.
    """

    def __init__(self, folder: Path, model: SAM2, precision: torch.dtype, max_bytes: int) -> None:
        self.folder = folder
        self.model = model
        self.precision = precision
        self.max_bytes = max_bytes
        self._writes = True
        self._bytes: int | None = None  # in the folder, as far as is known

    def path(self, image: np.ndarray) -> Path:
        """Say where the features of an image are, or would be.

        Parameters
        ----------
        image : np.ndarray, shape (H, W, 3), float32
            What the model is shown, before it is resized.
        """
        digest = hashlib.blake2b(self._computation, digest_size=20)
        # Besides the precision that is asked for there may be one around the call.
        device = self.model.device.type
        around = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
        digest.update(repr((image.shape, around)).encode())
        digest.update(image.data)
        return self.folder / f"{PREFIX}{digest.hexdigest()}.safetensors"

    def get(self, path: Path) -> Maps | None:
        """Read features; None where there are none that can be used."""
        try:
            data = path.read_bytes()
            now = time.time_ns()
            os.utime(path, ns=(now, now))  # exactly, unlike what the system says of writing
        except OSError:
            return None
        try:
            maps = Maps(**load(data))
        except (safetensors.SafetensorError, TypeError, ValueError):
            return None  # cut short, or of something else
        if tuple(tuple(one.shape) for one in maps) != self._shapes:
            return None
        return Maps(*(one.to(self.model.device) for one in maps))

    def put(self, path: Path, maps: Maps) -> None:
        """Write features, beside their place first: a file is whole or not there."""
        if not self._writes:
            return
        data = save({name: one.cpu().contiguous() for name, one in maps._asdict().items()})
        if len(data) > self.max_bytes:
            return
        beside = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._make_room(len(data))
            beside.write_bytes(data)
            beside.replace(path)
        except OSError as error:
            self._writes = False
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            warnings.warn(
                f"Image features are no longer kept in {self.folder}: {error}. Everything works "
                "without; make room there, or choose another folder, to open sessions faster.",
                stacklevel=2,
            )

    def _make_room(self, wanted: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._bytes is not None and self._bytes + wanted <= self.max_bytes:
            self._bytes += wanted
            return
        found = [(path, path.stat()) for path in self.folder.glob(f"{PREFIX}*")]
        total = wanted + sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda one: one[1].st_mtime_ns):
            if total <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size
        self._bytes = total

    @cached_property
    def _computation(self) -> bytes:
        """What features depend on beside the pixels, hashed."""
        digest = hashlib.blake2b(digest_size=20)
        for part in (FORMAT, self.model.config, self.precision, self.model.device.type):
            digest.update(repr(part).encode())
        decoder = self.model.sam_mask_decoder
        for module in (self.model.image_encoder, decoder.conv_s0, decoder.conv_s1):
            for name, weights in module.state_dict().items():
                digest.update(name.encode())
                digest.update(weights.cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.digest()

    @cached_property
    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        grid, width = self.model.config.grid_size, self.model.config.d_model
        return (
            (1, width, grid, grid),
            (1, width // 8, 4 * grid, 4 * grid),
            (1, width // 4, 2 * grid, 2 * grid),
        )
