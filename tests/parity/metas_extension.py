"""What Meta's CUDA extension gives, in plain Python: its package on PyPI comes without."""

from __future__ import annotations

import torch


def connected_components(masks):
    """What Meta's CUDA extension gives: labels and areas of 8-connected components."""
    labels, areas = torch.zeros_like(masks, dtype=torch.int32), torch.zeros_like(masks).int()
    for mask, label, area in zip(masks[:, 0], labels[:, 0], areas[:, 0], strict=True):
        todo = {tuple(place) for place in mask.nonzero().tolist()}
        while todo:
            component, edge = [], [todo.pop()]
            while edge:
                row, column = edge.pop()
                component.append((row, column))
                around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & todo
                todo -= around
                edge.extend(around)
            where = tuple(zip(*component, strict=True))
            label[where] = int(label.max()) + 1
            area[where] = len(component)
    return labels, areas
