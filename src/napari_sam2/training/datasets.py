"""Training samples: generated scenes, and real nuclei beside them.

They are made on the CPU also where the model trains on a GPU: worker processes make them while
the model learns, and a forked process cannot use a GPU that its parent has begun to use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from skimage.io import imread
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from napari_sam2.training.augment import random_light, random_view
from napari_sam2.training.draws import below, chance, uniform
from napari_sam2.training.framing import OFF, SPARE, cut, draw_zoom
from napari_sam2.training.synthetic import SceneOptions, generate_scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Sample(NamedTuple):
    """A sequence of T frames (1 for an image) with every object's mask."""

    images: Tensor  #: (T, 3, S, S), uint8
    labels: Tensor  #: (T, S, S), int32; 0 is background, an id is one object in all frames


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """What samples to draw."""

    size: int  #: edge, in pixels
    n_frames: int = 1
    seed: int = 0
    nuclei: Path | None = None  #: folder of the dsb2018 set; without it all is generated
    nuclei_share: float = 0.3  #: of single images that come from there
    kept_out: frozenset[str] = frozenset()  #: stems of images never trained on
    echo: int = 4  #: views taken of each generated scene
    pool: int = 64  #: scenes held at a time, so that views of one are not neighbours
    zoom: tuple[float, float] = (0.8, 2.0)  #: of generated scenes
    nuclei_zoom: tuple[float, float] = (0.5, 3.0)
    around: float = 0.0  #: share of views that are around an object, as windows are
    hiding: float | None = None  #: chance of an object to go out of sight, a frame; None draws it


class SampleStream(IterableDataset[Sample]):
    """An endless stream of samples, the same for the same options and worker."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self.options = options
        self._nuclei = []
        if options.nuclei is not None:
            paths = sorted((options.nuclei / "images").glob("*.png"))
            self._nuclei = [path for path in paths if path.stem not in options.kept_out]

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        generator = torch.Generator().manual_seed(
            self.options.seed * 1009 + (worker.id if worker else 0)
        )
        pool: list[Sample] = []
        while True:
            if self._nuclei and below(1000, generator) < 1000 * self.options.nuclei_share:
                yield self._view(self._read_nuclei(generator), self.options.nuclei_zoom, generator)
                continue
            if len(pool) < self.options.pool or not below(self.options.echo, generator):
                scene = self._generate(generator)
                if len(pool) < self.options.pool:
                    pool.append(scene)
                else:
                    pool[below(len(pool), generator)] = scene
            yield self._view(pool[below(len(pool), generator)], self.options.zoom, generator)

    def _generate(self, generator: torch.Generator) -> Sample:
        edge = round(self.options.size * (1 + 0.5 * below(3, generator)))
        options = SceneOptions(
            size=(edge, edge), n_frames=self.options.n_frames, hiding=self.options.hiding
        )
        scene = generate_scene(options, generator, "cpu")
        return Sample((scene.images * 255).round().to(torch.uint8), scene.labels)

    def _read_nuclei(self, generator: torch.Generator) -> Sample:
        path = self._nuclei[below(len(self._nuclei), generator)]
        image = torch.from_numpy(imread(path))
        image = image[..., None].expand(-1, -1, 3) if image.ndim == 2 else image[..., :3]
        labels = imread(path.parents[1] / "labels" / f"{path.stem}.tif").astype("int32")
        return Sample(image.permute(2, 0, 1)[None], torch.from_numpy(labels)[None])

    def _view(
        self, sample: Sample, zoom: tuple[float, float], generator: torch.Generator
    ) -> Sample:
        if chance(self.options.around, generator):
            sample, zoom = _around_one(sample, self.options.size, generator)
        images, labels = random_view(
            sample.images.float() / 255, sample.labels, self.options.size, zoom, generator
        )
        images = random_light(images, generator)
        if self.options.n_frames > 1 and below(2, generator):
            images, labels = images.flip(0), labels.flip(0)
        return Sample((images * 255).round().to(torch.uint8), labels)


def _around_one(
    sample: Sample, size: int, generator: torch.Generator
) -> tuple[Sample, tuple[float, float]]:
    """Cut out what is around an object of the first frame, and say how it is to be enlarged."""
    first = sample.labels[0]
    ids = first.unique()
    ids = ids[ids > 0]
    shape = (first.shape[0], first.shape[1])
    if not len(ids):
        return sample, (size / max(shape),) * 2
    where = (first == ids[below(len(ids), generator)]).nonzero()
    low, high = where.amin(dim=0), where.amax(dim=0)
    zoom = draw_zoom(int((high - low).max()) + 1, shape, size, generator)
    edge = round(SPARE * size / zoom)
    off = [uniform(-OFF, OFF, generator) * edge for _ in range(2)]
    middle = [float(m) + o for m, o in zip((low + high) / 2, off, strict=True)]
    rows, columns = cut(middle, edge, shape)
    images, labels = sample.images[..., rows, columns], sample.labels[..., rows, columns]
    return Sample(images, labels), (zoom, zoom)


def batches(options: StreamOptions, batch_size: int, workers: int) -> Iterator[Sample]:
    """Give batches without end: images (B, T, 3, S, S) uint8 and labels (B, T, S, S)."""
    loader: DataLoader[Sample] = DataLoader(
        SampleStream(options),
        batch_size=batch_size,
        num_workers=workers,
        worker_init_fn=_one_thread if workers else None,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
