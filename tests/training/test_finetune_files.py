"""Files of a run: whole or as they were."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sam2.model.config import load_config, user_model_names
from napari_sam2.training import own_models, run_state
from napari_sam2.training.annotated import AnnotationError
from napari_sam2.training.files import write_whole
from napari_sam2.training.pairing import pair_files
from napari_sam2.training.trainer import TrainingError


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("file write failed")]
)
def test_file_that_cannot_be_written_stays_as_it_was(tmp_path, error):
    path = tmp_path / "state.pt"
    path.write_text("the last one")

    def write(partial):
        partial.write_text("half of a new")
        raise error

    with pytest.raises(OSError, match=r"No space|file write failed"):
        write_whole(path, write)
    assert path.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [path]


def test_interrupt_in_the_middle_of_writing_leaves_the_last_file(tmp_path):
    path = tmp_path / "state.pt"
    path.write_text("the last one")

    def write(partial):
        partial.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, write)
    assert path.read_text() == "the last one"


def test_full_disk_stops_no_run_and_is_told(begin, stack, monkeypatch):
    def save(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_state.torch, "save", save)
    run = begin([stack], save_every=0)
    remarks = [p.remark for p in run.steps() if p.remark]

    assert any("could not be saved" in one and "No space left" in one for one in remarks)
    assert run.result is not None


def test_full_disk_keeps_the_last_state(begin, stack, monkeypatch):
    list(begin([stack], minutes=0).steps())
    with monkeypatch.context() as patch:
        patch.setattr(
            run_state.torch, "save", lambda *_: (_ for _ in ()).throw(RuntimeError("no room"))
        )
        list(begin([stack], minutes=0).steps())

    assert begin([stack]).step == 1


def test_torn_state_is_named(begin, stack):
    run = begin([stack], minutes=0)
    list(run.steps())
    path = run.options.run_folder / "finetune.pt"
    path.write_bytes(path.read_bytes()[:1000])

    with pytest.raises(TrainingError, match=r"finetune\.pt cannot be read.*Move it away"):
        begin([stack])


def test_state_is_gone_and_the_log_stays_when_a_run_is_finished(begin, stack):
    run = begin([stack])
    list(run.steps())
    folder = run.options.run_folder

    assert [path.name for path in folder.iterdir()] == ["log.csv"]
    assert len((folder / "log.csv").read_text().splitlines()) == 3, "a heading, two measurements"


def test_model_that_could_not_be_written_is_not_in_the_list(
    models, tiny_config, tiny_model, monkeypatch
):
    def save(weights, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(own_models, "save_file", save)
    with pytest.raises(OSError, match="No space"):
        own_models.write_model("cells", tiny_config, tiny_model.state_dict(), {})

    assert user_model_names() == []


def test_model_that_could_not_be_replaced_is_as_it_was(
    models, tiny_config, tiny_model, monkeypatch
):
    own_models.write_model("cells", tiny_config, tiny_model.state_dict(), {})
    before = {path.name: path.read_bytes() for path in models.iterdir()}
    other = replace(tiny_config, image_size=96)

    def dump(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", dump)
    weights = {key: value + 1 for key, value in tiny_model.state_dict().items()}
    with pytest.raises(OSError, match="No space"):
        own_models.write_model("cells", other, weights, {})

    assert {path.name: path.read_bytes() for path in models.iterdir()} == before


def test_model_without_a_picture_does_not_keep_that_of_the_one_it_replaces(
    models, tiny_config, tiny_model
):
    weights, picture = tiny_model.state_dict(), np.zeros((4, 4, 3), np.uint8)
    own_models.write_model("cells", tiny_config, weights, {}, picture)
    assert (models / "cells.png").is_file()

    own_models.write_model("cells", tiny_config, weights, {})

    names = {path.name for path in models.iterdir()}
    assert names == {"cells.json", "cells.safetensors", "cells.yaml"}


def test_config_that_cannot_be_read_hides_no_other(models, tiny_config, tiny_model):
    own_models.write_model("cells", tiny_config, tiny_model.state_dict(), {})
    (models / "broken.yaml").write_text("name: [")

    assert user_model_names() == ["cells"]
    with pytest.raises(ValueError, match=r"broken\.yaml cannot be read"):
        load_config("broken")


def test_models_of_the_package_go_before_those_of_the_user(models, tiny_config, tiny_model):
    own_models.write_model("sam2.1_hiera_nano", tiny_config, tiny_model.state_dict(), {})

    assert load_config("sam2.1_hiera_nano").name == "SAM 2.1 nano"
    assert user_model_names() == []


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


def test_labels_are_found_by_the_name_of_their_image(folder):
    root = folder("i/a.tif", "i/b.png", "i/c.tif", "l/b.tif", "l/a_masks.tif")
    pairs = pair_files([root / "i"], [root / "l"])

    assert sorted((p.image.name, p.labels.name) for p in pairs) == [
        ("a.tif", "a_masks.tif"),
        ("b.png", "b.tif"),
    ]


def test_images_and_labels_may_be_in_one_folder(folder):
    root = folder("d/a.tif", "d/a_cp_masks.png", "d/b.tif")

    (pair,) = pair_files([root / "d"], [root / "d"])
    assert (pair.image.name, pair.labels.name) == ("a.tif", "a_cp_masks.png")


def test_one_file_and_one_file_belong_together(folder):
    root = folder("stack.tif", "drawn.tif")

    assert pair_files([root / "stack.tif"], [root / "drawn.tif"]) == [
        (root / "stack.tif", root / "drawn.tif")
    ]


def test_labels_without_an_image_are_named(folder):
    root = folder("i/a.tif", "l/a.tif", "l/z.tif")

    with pytest.raises(AnnotationError, match=r"no image for the labels z\.tif among 1 images"):
        pair_files([root / "i"], [root / "l"])


def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnnotationError, match="no file or folder"):
        pair_files([tmp_path / "nowhere"], [tmp_path])


def test_weights_are_rounded_to_halves(begin, stack, models):
    from safetensors.torch import load_file

    list(begin([stack]).steps())

    assert {w.dtype for w in load_file(models / "my-cells.safetensors").values()} == {torch.float16}


def test_interrupt_in_the_middle_of_a_step_leaves_the_state_of_the_last_one(
    begin, stack, monkeypatch
):
    run = begin([stack], save_every=0)
    step = run._learner._optimizer.step

    def interrupted():
        step()
        if run.step == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(run._learner._optimizer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run.steps())

    again = begin([stack], save_every=0)
    assert again.step == 1
    name = "sam_mask_decoder.iou_token.weight"
    kept, broken = (dict(one._learner.model.named_parameters())[name] for one in (again, run))
    assert not torch.equal(kept, broken), "a step was taken that does not count"
