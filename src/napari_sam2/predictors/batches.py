"""How many objects are tracked at once: as many as the device has memory for."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

import torch

from napari_sam2.predictors.heap import free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

#: What devices say when there is no room, beside torch.OutOfMemoryError: Apple's GPU, and the
#: memory of the computer on Linux and on Windows.
NO_ROOM = ("out of memory", "can't allocate memory", "not enough memory")

T = TypeVar("T")
P = ParamSpec("P")


class DeviceMemoryError(MemoryError):
    """The device has too little memory; the message says what takes less."""


class OnDevice(Protocol):
    """Whatever computes on a device."""

    @property
    def device(self) -> torch.device: ...


C = TypeVar("C", bound=OnDevice)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(say in str(error).lower() for say in NO_ROOM)


def explains_memory(method: Callable[Concatenate[C, P], T]) -> Callable[Concatenate[C, P], T]:
    """Have a method say what to do where there is no memory left.

    Raises
    ------
    DeviceMemoryError
    """

    @wraps(method)
    def explained(self: C, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, DeviceMemoryError) or not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
        # Outside, for what the error's frames hold on to is free now.
        free(self.device)
        raise DeviceMemoryError(
            f"There is not enough memory on {self.device}, not even for one object at a time. Use "
            "a lower precision ('bfloat16', 'float16'), a model with a smaller image_size, or "
            f"the CPU (device='cpu'). The device says: {reason}"
        )

    return explained


class Batches:
    """Takes objects a batch at a time; a smaller one once the device has no room for it.

    Parameters
    ----------
    most : int
        Objects in one batch, at most. Halved whenever memory runs out, and so it stays.
    device : torch.device
        What is computed on.
    """

    def __init__(self, most: int, device: torch.device) -> None:
        self.most = most
        self.device = device

    def each(
        self, alike: Iterable[Sequence[int]], track: Callable[[Sequence[int]], Mapping[int, T]]
    ) -> Iterator[tuple[int, T]]:
        """Track objects a batch at a time.

        Parameters
        ----------
        alike : iterable of sequence of int
            Objects that can be tracked together.
        track : callable
            Tracks some of them, and gives what was found by object. Asked anew, for fewer,
            if memory runs out.

        Yields
        ------
        object_id : int
        found

        Raises
        ------
        RuntimeError
            If there is no memory for one object alone, in the words of the device.
        """
        for ids in alike:
            begin = 0
            while begin < len(ids):
                batch = ids[begin : begin + self.most]
                found = self._try(batch, track)
                if found is None:
                    free(self.device)
                    continue
                yield from found.items()
                begin += len(batch)

    def _try(
        self, batch: Sequence[int], track: Callable[[Sequence[int]], Mapping[int, T]]
    ) -> Mapping[int, T] | None:
        try:
            return track(batch)
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        self.most = len(batch) // 2
        return None
