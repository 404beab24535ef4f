"""Have torch compile the network: slow at first, then faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.model.sam2 import SAM2

#: Parts whose input is as long as there are objects, clicks or memories: compiled for any length.
OF_ANY_LENGTH = ("memory_attention", "memory_encoder", "sam_mask_decoder")


def compile_parts(model: SAM2, *, everything: bool = True, backend: str = "inductor") -> None:
    """Compile the parts of a model, in place, when they are first used.

    Names of weights stay as they are. Each part is compiled a few times at most: for one object
    and for several, for one memory and for several; not for each of their counts.

    Parameters
    ----------
    model : SAM2
        On the device to compute on.
    everything : bool
        Whether to compile all parts, or only the image encoder, as Meta's
        ``compile_image_encoder`` does.
    backend : str
        Of `torch.compile`.
    """
    model.image_encoder.compile(backend=backend)
    if everything:
        for name in OF_ANY_LENGTH:
            getattr(model, name).compile(backend=backend, dynamic=True)
