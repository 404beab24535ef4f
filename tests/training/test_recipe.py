"""Recipes and what they may not be."""

import pytest

from napari_sam2.training import recipe as recipes


def test_embedded_recipe_reads_and_keeps_images_out():
    recipe = recipes.find_recipe("nano")

    assert recipe.model == "sam2.1_hiera_nano"
    assert len(recipe.kept_out_stems()) == 167
    assert len({stage.name for stage in recipe.stages}) == len(recipe.stages)


def test_images_that_are_kept_out_are_listed_beside_the_recipe(tmp_path):
    (tmp_path / "own.yaml").write_text("model: x\nkept_out: test.txt\nstages: []\n")
    (tmp_path / "test.txt").write_text("one\ntwo\n")

    recipe = recipes.find_recipe(tmp_path / "own.yaml")

    assert recipe.kept_out_stems() == {"one", "two"}


def test_unknown_recipe_names_those_there_are():
    with pytest.raises(ValueError, match=r"no recipe 'macro'.*nano"):
        recipes.find_recipe("macro")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: x\nspeed: 3\nstages: []\n", r"Recipe has no \['speed'\]"),
        ("model: x\nstages: [{name: a, kind: b, steps: 1, image_size: 64}]\n", "of kind 'b'"),
        (
            "model: x\nstages: [{name: a, kind: sequences, steps: 1, image_size: 64}]\n",
            "needs n_frames",
        ),
        ("model: [x\n", "recipe.yaml is not a recipe: while parsing"),
        ("", "A recipe is keys and values, got None"),
        ("stages: []\n", r"Recipe needs \['model'\]"),
        ("model: x\n", r"Recipe needs \['stages'\]"),
        ("model: x\nstages: dense\n", "stages must be a list"),
        ("model: x\nstages: [dense]\n", "A stage is keys and values"),
        ("model: x\nstages: [{name: a}]\n", r"Stage needs \['image_size', 'kind', 'steps'\]"),
        (
            "model: x\nstages: [{name: a, kind: dense, steps: 1, image_size: 64, options: 3}]\n",
            "options is keys",
        ),
    ],
)
def test_wrong_recipe_says_why(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        recipes.find_recipe(path)
