"""Where everything is looked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_sam2._controls.everything_bench import Errand, EverythingBench
from napari_sam2._layers import read_stack
from napari_sam2.automatic import EverythingOptions
from napari_sam2.session import Settings


@pytest.fixture
def errand(viewer):
    return Errand(
        stack=read_stack(viewer.layers["blobs"], viewer.dims),
        model="sam2.1_hiera_nano",
        settings=Settings(device="cpu", precision="bfloat16"),
        options=EverythingOptions(),
        frames=(0,),
    )


def test_device_and_precision_are_those_that_were_chosen(errand):
    bench = EverythingBench()

    session = bench._session_for(errand)

    assert bench.device == "cpu"
    assert session.settings.precision == "bfloat16"
    bench._session_for(replace(errand, settings=Settings(device="meta")))
    assert bench.device == "meta"


def test_model_that_others_go_on_with_stays_on_its_device(errand):
    bench = EverythingBench()
    session = bench._session_for(errand)  # handed to the other dock, say

    bench._session_for(replace(errand, settings=Settings(device="meta")))

    assert str(session.model.device) == "cpu"


def test_model_is_loaded_once_for_one_device(errand):
    bench = EverythingBench()
    session = bench._session_for(errand)

    other = bench._session_for(replace(errand, settings=Settings(device="cpu")))

    assert other is not session
    assert other.model is session.model
