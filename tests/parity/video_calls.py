"""What is asked of a video predictor, Meta's or ours: scripts that yield what each call gives."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

# Meta's predictor fails, in single precision, on frames where an object attends to nothing but
# prompted frames ahead: no script goes over one.
SIZE, N_FRAMES = 128, 12
HERE, THERE, BESIDE = (51.0, 38.0), (77.0, 90.0), (64.0, 77.0)  #: (x, y)
BOX = (38.0, 25.0, 102.0, 90.0)


def click(predictor, state, frame, obj, *points, labels=None, **options):
    labels = [1] * len(points) if labels is None else labels
    return predictor.add_new_points_or_box(
        state, frame, obj, points=np.float32(points), labels=np.int32(labels), **options
    )


def some_mask(seed=0):
    low = torch.from_numpy(np.random.RandomState(seed).standard_normal((1, 1, 8, 8)))
    return torch.nn.functional.interpolate(low, (SIZE, SIZE), mode="bilinear")[0, 0] > 0


def one_click(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield from predictor.propagate_in_video(state)


def five_objects(predictor, state):
    yield click(predictor, state, 0, 7, HERE)
    yield predictor.add_new_points_or_box(state, 0, 3, box=np.float32(BOX))
    yield predictor.add_new_mask(state, 0, 5, some_mask())
    yield click(predictor, state, 0, 9, THERE, BESIDE, labels=[1, 0])
    yield predictor.add_new_points_or_box(
        state, 0, 1, points=np.float32([BESIDE]), labels=np.int32([0]), box=np.float32(BOX)
    )
    yield from predictor.propagate_in_video(state)


def points_on_top_of_points(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield click(predictor, state, 0, 1, THERE, labels=[0], clear_old_points=False)
    yield click(predictor, state, 0, 1, HERE, BESIDE)
    yield click(predictor, state, 0, 2, (0.3, 0.4), normalize_coords=False)
    yield from predictor.propagate_in_video(state)


def refined_on_a_later_frame(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield click(predictor, state, 0, 2, THERE)
    yield from predictor.propagate_in_video(state)
    yield click(predictor, state, 6, 1, BESIDE, labels=[0])
    yield click(predictor, state, 6, 1, BESIDE, THERE, labels=[0, 1])
    yield predictor.add_new_mask(state, 8, 2, some_mask(1))
    yield from predictor.propagate_in_video(state)
    yield from predictor.propagate_in_video(state, start_frame_idx=7, reverse=True)


def in_reverse_from_the_middle(predictor, state):
    yield click(predictor, state, 6, 1, HERE)
    yield click(predictor, state, 6, 2, THERE)
    yield from predictor.propagate_in_video(state, start_frame_idx=6, reverse=True)
    yield from predictor.propagate_in_video(state, start_frame_idx=6, max_frame_num_to_track=3)
    yield from predictor.propagate_in_video(state, start_frame_idx=0, reverse=True)


def added_after_tracking(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield from predictor.propagate_in_video(state, max_frame_num_to_track=5)
    yield click(predictor, state, 3, 2, THERE)
    yield from predictor.propagate_in_video(state, start_frame_idx=3)


def removed(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield click(predictor, state, 0, 2, THERE)
    yield click(predictor, state, 4, 2, THERE)
    yield from predictor.propagate_in_video(state, max_frame_num_to_track=5)
    left, updated = predictor.remove_object(state, 2)
    for frame, masks in updated:
        yield frame, left, masks
    yield from predictor.propagate_in_video(state)


def cleared(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield click(predictor, state, 5, 1, THERE)
    yield click(predictor, state, 0, 2, THERE)
    yield click(predictor, state, 5, 2, THERE)
    yield from predictor.propagate_in_video(state)
    yield predictor.clear_all_prompts_in_frame(state, 5, 1)
    yield from predictor.propagate_in_video(state)
    yield click(predictor, state, 5, 1, BESIDE)
    yield from predictor.propagate_in_video(state)


def reset(predictor, state):
    yield click(predictor, state, 0, 1, HERE)
    yield from predictor.propagate_in_video(state, max_frame_num_to_track=2)
    predictor.reset_state(state)
    yield click(predictor, state, 3, 4, THERE)
    yield from predictor.propagate_in_video(state)


SCRIPTS = (
    one_click,
    five_objects,
    points_on_top_of_points,
    refined_on_a_later_frame,
    in_reverse_from_the_middle,
    added_after_tracking,
    removed,
    cleared,
    reset,
)


def noisy_video():
    """Frames of the size of the model's input, for which loaders have nothing to resize."""
    shape = (N_FRAMES, SIZE, SIZE, 3)
    return np.random.RandomState(0).randint(0, 255, shape).astype(np.uint8)


@dataclass(frozen=True)
class Case:
    """A script, and the rules of the predictor it runs on."""

    script: Callable
    rules: dict[str, bool] = field(default_factory=dict)  #: as the predictor takes them
    stable: bool = True  #: whether single masks that are not stable give way
    first_generation: bool = False  #: SAM 2, without what 2.1 added

    def config(self, config):
        """Give the config of our model for this case."""
        if not self.stable:
            config = dataclasses.replace(config, least_stability=0)
        if self.first_generation:
            config = dataclasses.replace(config, pointer_time=False, occlusion_embedding=False)
        return config


_RULES = ({"add_all_frames_to_correct_as_cond": True}, {"clear_non_cond_mem_around_input": True})
_TELLING = (refined_on_a_later_frame, cleared, in_reverse_from_the_middle)

CASES = {
    **{script.__name__: Case(script) for script in SCRIPTS},
    **{
        f"{script.__name__} by {next(iter(rules))}": Case(script, rules)
        for script in _TELLING
        for rules in _RULES
    },
    **{f"{script.__name__}, stable or not": Case(script, stable=False) for script in _TELLING},
    "first generation": Case(five_objects, first_generation=True),
}
