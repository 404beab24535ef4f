"""The generator of training images: what its callers rely on."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from napari_sam2.training.synthetic import Modality, Scene, SceneOptions, generate_scene
from napari_sam2.training.synthetic.dice import Dice
from napari_sam2.training.synthetic.layouts import Arrangement, Crowd, draw_diameters, push_apart
from napari_sam2.training.synthetic.motion import populate
from napari_sam2.training.synthetic.optics import expose
from napari_sam2.training.synthetic.raster import rasterise
from napari_sam2.training.synthetic.scene import MIN_PIXELS
from napari_sam2.training.synthetic.shapes import Family, draw_outlines, tabulate
from napari_sam2.training.synthetic.tessellation import Tiling, tessellate
from napari_sam2.training.synthetic.textures import blur, look_up, power_noise, random_texture

EVERY_MODALITY = pytest.mark.parametrize("modality", list(Modality), ids=lambda m: m.name.lower())
CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def make(seed: int = 0, **options) -> Scene:
    options.setdefault("size", (128, 128))
    return generate_scene(SceneOptions(**options), torch.Generator().manual_seed(seed))


def grown(mask: torch.Tensor, width: int) -> torch.Tensor:
    return F.max_pool2d(mask[None].float(), 2 * width + 1, stride=1, padding=width)[0] > 0


def pieces(mask: torch.Tensor) -> int:
    """Count connected parts, diagonal contact included."""
    number = torch.arange(1.0, mask.numel() + 1).view(1, *mask.shape) * mask
    while True:
        spread = F.max_pool2d(number, 3, stride=1, padding=1) * mask
        if torch.equal(spread, number):
            return int(number[0][mask].unique().numel())
        number = spread


@EVERY_MODALITY
def test_images_and_labels_have_the_promised_form(modality):
    scene = make(modality=modality, size=(96, 144), n_frames=2)

    assert scene.images.shape == (2, 3, 96, 144)
    assert scene.images.dtype == torch.float32
    assert scene.images.isfinite().all()
    assert scene.images.min() >= 0
    assert scene.images.max() <= 1
    assert scene.labels.shape == (2, 96, 144)
    assert scene.labels.dtype == torch.int32
    assert scene.modality is modality


@EVERY_MODALITY
def test_equal_seeds_give_equal_scenes(modality):
    first, second = (make(3, modality=modality, n_frames=2) for _ in range(2))

    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert first.parents == second.parents


def test_other_seeds_give_other_scenes():
    assert not torch.equal(make(0).images, make(1).images)


def test_the_global_source_of_chance_is_left_alone():
    torch.manual_seed(0)
    make(0)
    drawn = torch.rand(1)

    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn)


def test_one_generator_gives_one_scene_after_another():
    generator = torch.Generator().manual_seed(0)
    options = SceneOptions(size=(64, 64))
    first, second = (generate_scene(options, generator) for _ in range(2))

    assert not torch.equal(first.images, second.images)


def test_every_modality_is_drawn_when_none_is_asked_for():
    drawn = {make(seed, size=(32, 32)).modality for seed in range(60)}

    assert drawn == set(Modality)


@EVERY_MODALITY
def test_ids_are_counted_from_one_and_each_is_visible(modality):
    labels = make(2, modality=modality, n_frames=3).labels

    ids = labels.unique()
    ids = ids[ids > 0]
    assert torch.equal(ids, torch.arange(1, len(ids) + 1, dtype=torch.int32))
    for frame in labels:
        pixels = frame.flatten().bincount()[1:]
        assert not ((pixels > 0) & (pixels < MIN_PIXELS)).any()


@EVERY_MODALITY
def test_scenes_hold_objects(modality):
    filled = [bool(make(seed, modality=modality).labels.any()) for seed in range(8)]

    assert all(filled)


@pytest.mark.parametrize("diameters", [(8.0, 14.0), (40.0, 60.0)])
def test_diameters_are_those_asked_for(diameters):
    found = []
    for seed in range(6):
        labels = make(
            seed, size=(192, 192), diameters=diameters, modality=Modality.FLUORESCENCE
        ).labels[0]
        inner = labels[1:-1, 1:-1]
        cut = set(labels.unique().tolist()) - set(inner.unique().tolist())
        cut |= set(torch.cat((labels[0], labels[-1], labels[:, 0], labels[:, -1])).tolist())
        area = labels.flatten().bincount().float()
        whole = [i for i in range(1, len(area)) if i not in cut]
        found += [2 * (float(area[i]) / torch.pi) ** 0.5 for i in whole]

    found = torch.tensor(found)
    assert len(found) > 5
    inside = (found > 0.6 * diameters[0]) & (found < 1.4 * diameters[1])
    assert inside.float().mean() > 0.85


def test_objects_are_mostly_in_one_piece():
    total = broken = 0
    for modality in Modality:
        labels = make(5, modality=modality, size=(96, 96)).labels[0]
        for number in range(1, min(int(labels.max()), 12) + 1):
            total += 1
            broken += pieces(labels == number) > 1
    assert total > 20
    assert broken / total < 0.15


def test_number_of_objects_is_bounded():
    labels = make(0, size=(256, 256), diameters=(5, 6), max_objects=20, coverage=0.5).labels

    assert 0 < labels.max() <= 50


def edges(labels: torch.Tensor) -> torch.Tensor:
    down = F.pad(labels[1:] != labels[:-1], (0, 0, 0, 1))
    right = F.pad(labels[:, 1:] != labels[:, :-1], (0, 1))
    return grown(down | right, 1)


@EVERY_MODALITY
def test_images_change_more_at_outlines_than_nine_pixels_away(modality):
    better = 0
    for seed in range(12):
        scene = make(seed, modality=modality, diameters=(20, 60))
        grey = blur(scene.images[0].mean(0), 1.0)
        change = torch.hypot(
            F.pad(grey[2:] - grey[:-2], (0, 0, 1, 1)), F.pad(grey[:, 2:] - grey[:, :-2], (1, 1))
        )
        edge = edges(scene.labels[0])
        away = [edge.roll(shift, axis) & ~edge for shift in (-9, 9) for axis in (0, 1)]
        better += all(bool(change[edge].mean() > 1.1 * change[a].mean()) for a in away)
    assert better >= 8


@EVERY_MODALITY
def test_objects_stay_near_themselves_from_frame_to_frame(modality):
    labels = make(1, modality=modality, n_frames=4, diameters=(16, 50)).labels
    near = total = 0
    for before, after in pairwise(labels):
        for number in set(before.unique().tolist()) & set(after.unique().tolist()) - {0}:
            total += 1
            near += bool((grown(before == number, 3) & (after == number)).any())
    assert total > 5
    assert near / total > 0.95


def test_noise_is_new_in_every_frame():
    dice = Dice(torch.Generator().manual_seed(0))
    still = torch.linspace(0.2, 0.8, 64).expand(2, 1, 64, 64)
    noisy = expose(dice, still, 0.1)

    assert not torch.equal(noisy[0], noisy[1])
    torch.testing.assert_close(noisy.mean(), still.mean(), atol=0.02, rtol=0)


def test_pixel_noise_depends_on_the_seed():
    first, second = (Dice(torch.Generator().manual_seed(seed)).noise(8) for seed in range(2))

    assert not torch.equal(first, second)


def test_no_member_of_a_broad_population_is_too_small_or_too_large():
    dice = Dice(torch.Generator().manual_seed(0))
    options = SceneOptions(size=(512, 512), diameters=(15, 25))
    found = draw_diameters(dice, crowd(spread=0.5), options)

    assert found.min() == 15
    assert found.max() == 25


def crowd(**changes) -> Crowd:
    values = {
        "family": Family.ELLIPSE,
        "arrangement": Arrangement.SCATTERED,
        "diameter": 20.0,
        "spread": 0.1,
        "coverage": 0.3,
    }
    return Crowd(**(values | changes))


def dividing_bodies(family: Family):
    options = SceneOptions(size=(128, 128), n_frames=8)
    for seed in range(40):
        dice = Dice(torch.Generator().manual_seed(seed))
        bodies = populate(dice, crowd(family=family), options)
        if bodies.parents:
            return bodies
    pytest.fail("No population divided.")


@pytest.mark.parametrize("family", [Family.ELLIPSE, Family.ROD])
def test_a_mother_ends_when_her_two_daughters_begin(family):
    bodies = dividing_bodies(family)

    for mother in set(bodies.parents.values()):
        daughters = [child for child, parent in bodies.parents.items() if parent == mother]
        assert len(daughters) == 2
        ended = bodies.alive[:, mother - 1].nonzero().max()
        for daughter in daughters:
            begun = bodies.alive[:, daughter - 1].nonzero()
            assert not len(begun) or begun.min() > ended


def test_daughters_lie_within_reach_of_their_mother():
    bodies = dividing_bodies(Family.ELLIPSE)

    for child, mother in bodies.parents.items():
        first = bodies.alive[:, child - 1].nonzero()
        if len(first):
            frame = int(first.min())
            gap = bodies.centre[frame, child - 1] - bodies.centre[frame - 1, mother - 1]
            assert gap.norm() < 4 * bodies.radius[frame - 1, mother - 1]


def test_parents_name_labels_that_exist():
    for seed in range(6):
        scene = make(seed, modality=Modality.PHASE_CONTRAST, n_frames=8)
        ids = set(scene.labels.unique().tolist())
        assert set(scene.parents) | set(scene.parents.values()) <= ids
        for child, mother in scene.parents.items():
            born = (scene.labels == child).flatten(1).any(1).nonzero().min()
            died = (scene.labels == mother).flatten(1).any(1).nonzero().max()
            assert born > died


def test_of_two_objects_at_one_place_the_one_in_front_is_seen():
    dice = Dice(torch.Generator().manual_seed(0))
    bodies = populate(
        dice, crowd(coverage=0.9, contact=0.0), SceneOptions(size=(64, 64), diameters=(20, 20))
    )
    scene = rasterise(bodies, (64, 64), CPU)
    alone = [
        rasterise(
            type(bodies)(
                **{
                    name: getattr(bodies, name)
                    for name in bodies.__dataclass_fields__
                    if name != "alive"
                },
                alive=bodies.alive & (torch.arange(bodies.alive.shape[1]) == index),
            ),
            (64, 64),
            CPU,
        ).labels[0]
        > 0
        for index in range(bodies.alive.shape[1])
    ]
    stack = torch.stack(alone)
    depth = torch.where(stack, bodies.depth[:, None, None], -1.0)
    expected = torch.where(stack.any(0), depth.argmax(0) + 1, 0)

    assert (scene.cover > 1).any()
    assert torch.equal(scene.labels[0].long(), expected)
    assert torch.equal(scene.cover[0].long(), stack.sum(0))


def test_area_of_an_object_is_that_of_its_diameter():
    options = SceneOptions(size=(256, 256), diameters=(30, 30))
    for family in Family:
        dice = Dice(torch.Generator().manual_seed(1))
        bodies = populate(
            dice, crowd(family=family, diameter=30.0, coverage=0.05, contact=1.5), options
        )
        labels = rasterise(bodies, (256, 256), CPU).labels[0]
        border = torch.cat((labels[0], labels[-1], labels[:, 0], labels[:, -1])).unique()
        area = labels.flatten().bincount(minlength=1)[1:].float()
        whole = [float(a) for i, a in enumerate(area, 1) if a > 0 and i not in border.tolist()]
        assert whole
        typical = torch.tensor(whole).median()
        assert 0.7 < typical / (torch.pi * 15**2) < 1.35, family


@pytest.mark.parametrize("family", list(Family))
def test_outlines_are_normalised_and_positive(family):
    table = tabulate(draw_outlines(Dice(torch.Generator().manual_seed(0)), family, 20))

    assert (table > 0).all()
    torch.testing.assert_close(table.square().mean(1), torch.ones(20))


def test_bodies_pushed_apart_overlap_less():
    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(40, 2, generator=generator) * 100
    radius, zero = torch.full((40,), 8.0), torch.zeros(40)

    def overlap(place: torch.Tensor) -> torch.Tensor:
        gap = torch.cdist(place, place) + torch.eye(40) * 100
        return (16 - gap).clamp(min=0).sum()

    moved, _ = push_apart(centre, zero, radius, zero, 1.0, 30)
    assert overlap(moved) < 0.2 * overlap(centre)


def test_confluent_cells_cover_the_field_without_gaps():
    options = SceneOptions(size=(96, 96), n_frames=2)
    scene = tessellate(Dice(torch.Generator().manual_seed(0)), Tiling(diameter=20.0), options)

    assert (scene.labels > 0).all()
    assert 15 < len(scene.labels[0].unique()) < 60


def test_a_gap_between_confluent_cells_is_as_wide_as_asked():
    dice = Dice(torch.Generator().manual_seed(0))
    tiling = Tiling(diameter=40.0, gap=2.0, waviness=0.0, jitter=0.0)
    labels = tessellate(dice, tiling, SceneOptions(size=(200, 200))).labels[0]

    spacing = 40 * (torch.pi / 4) ** 0.5
    open_share = (1 - 4 / spacing) ** 2
    assert (labels > 0).float().mean() == pytest.approx(open_share, abs=0.05)


def test_blur_keeps_the_mean_and_has_the_width_asked_for():
    for sigma in (0.8, 3.0, 12.0):
        image = torch.zeros(1, 201, 201)
        image[0, 100, 100] = 1
        spread = blur(image, sigma)[0]
        offset = torch.arange(201.0) - 100
        assert spread.sum() == pytest.approx(1, abs=0.02)
        width = ((spread.sum(0) * offset**2).sum() / spread.sum()).sqrt()
        assert width == pytest.approx(sigma, rel=0.12)


def test_textures_are_periodic_and_standardised():
    dice = Dice(torch.Generator().manual_seed(0))
    for scale in (3.0, 20.0, 80.0):
        atlas = random_texture(dice, scale, calm=False)
        assert atlas.mean() == pytest.approx(0, abs=0.2)
        assert atlas.std() == pytest.approx(1, abs=0.3)
        place = torch.rand(50) * 300
        here = look_up(atlas[None], place, place.flip(0))
        there = look_up(atlas[None], place - 256, place.flip(0) + 512)
        torch.testing.assert_close(here, there, atol=2e-3, rtol=0)


def test_steeper_spectra_are_smoother():
    dice = Dice(torch.Generator().manual_seed(0))
    rough, smooth = (power_noise(dice, (64, 64), power, 30.0).diff().std() for power in (0.5, 2.0))

    assert smooth < 0.5 * rough


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (16, 64)}, "size must be at least"),
        ({"n_frames": 0}, "n_frames and max_objects"),
        ({"diameters": (30, 20)}, "diameters must be"),
        ({"coverage": 0.0}, "coverage must be"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SceneOptions(**options)
