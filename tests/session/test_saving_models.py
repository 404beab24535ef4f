"""The model that a file of a session names, and what is done where it is gone."""

from __future__ import annotations

import pytest
from session_steps import prompted

from napari_sam2 import Session, Settings, TrackerOptions


def test_model_and_settings_are_those_of_the_session(blobs, tiny_files, path):
    config, weights = tiny_files
    options = TrackerOptions(field="frame", max_objects=3, feature_folder=path.parent / "kept")
    chosen = Settings(checkpoint=weights, precision="bfloat16", device="cpu", tracker=options)
    Session(blobs[0], config, settings=chosen).save(path)

    loaded = Session.load(path, blobs[0])

    assert loaded.settings.tracker == options
    assert (loaded.settings.checkpoint, loaded.settings.precision) == (weights, "bfloat16")
    assert loaded.model.config.name == load_name(config)


def load_name(config):
    from napari_sam2 import load_config

    return load_config(config).name


def test_model_without_a_name_is_asked_for(session, path, blobs):
    session.save(path)

    with pytest.raises(ValueError, match="Give the model itself"):
        Session.load(path, blobs[0])


@pytest.fixture
def orphaned(blobs, tiny_files, tmp_path, path):
    """A saved session whose weights are gone, and the model's config."""
    config, weights = tiny_files
    own = weights.rename(tmp_path / "own.safetensors")
    session = Session(blobs[0], str(config), settings=Settings(checkpoint=own, device="cpu"))
    prompted(session)
    session.save(path)
    own.unlink()
    return session


def test_session_whose_weights_are_gone_goes_on_with_another_model(
    orphaned, path, blobs, tiny_model
):
    loaded = Session.load(path, blobs[0], tiny_model)

    assert loaded.objects == orphaned.objects
    assert loaded.settings.checkpoint is None
    assert loaded.remark == ""


def test_session_falls_back_on_a_model_where_its_own_is_not_to_be_had(
    orphaned, path, blobs, tiny_model
):
    loaded = Session.load(path, blobs[0], model=[None, tiny_model])

    assert loaded.objects == orphaned.objects
    assert loaded.model is tiny_model
    assert "own.safetensors" in loaded.remark


def test_session_whose_weights_are_gone_says_so(orphaned, path, blobs):
    with pytest.raises(ValueError, match=r"no file .*own\.safetensors"):
        Session.load(path, blobs[0])


def test_session_falls_back_on_nothing_where_its_own_model_is_there(path, blobs, tiny_files):
    Session(blobs[0], str(tiny_files[0])).save(path)

    loaded = Session.load(path, blobs[0], model=[None, "no such model"])

    assert loaded.remark == ""


def test_model_of_a_session_at_another_image_size_is_found_again(blobs, path):
    session = Session(blobs[0], settings=Settings(image_size=256))
    other = Session(blobs[0], session.model, settings=session.settings)  # as a dock goes on
    other.save(path)

    loaded = Session.load(path, blobs[0])

    assert loaded.model.config.image_size == 256
