import pytest
import tqdm

from napari_sam2.cli import main
from napari_sam2.downloads import partial_path


def test_downloaded_weights_are_found_by_path(model, cache, capsys):
    assert main(["models", "download", "sam2.1_hiera_tiny"]) == 0
    assert capsys.readouterr().out == f"sam2.1_hiera_tiny: {cache / model.file}\n"

    assert main(["models", "path", "sam2.1_hiera_t.yaml"]) == 0
    assert capsys.readouterr().out == f"{cache / model.file}\n"


def test_mirror_of_the_command_line_comes_first(model, server, content):
    server.files = {"/other/092824/sam2.1_hiera_tiny.pt": content}

    mirror = f"{server.url}/other/{{folder}}/{{file}}"
    assert main(["models", "download", "sam2.1_hiera_tiny", "--mirror", mirror]) == 0


def test_nothing_is_fetched_where_a_name_is_unknown(model, server, capsys):
    assert main(["models", "download", "sam2.1_hiera_tiny", "sam3"]) == 2

    assert "no model 'sam3'" in capsys.readouterr().err
    assert not server.asked


def test_download_that_fails_is_told_without_a_traceback(model, server, capsys):
    server.files.clear()

    assert main(["models", "download", "sam2.1_hiera_tiny"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("napari-sam2: sam2.1_hiera_tiny.pt cannot be") for line in lines)


def test_download_shows_its_progress(model, capsys):
    assert main(["models", "download", "sam2.1_hiera_tiny"]) == 0

    assert "300k/300k" in capsys.readouterr().err


def test_stopped_download_says_that_it_can_go_on(model, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tqdm.tqdm, "update", stop)

    assert main(["models", "download", "sam2.1_hiera_tiny"]) == 130
    assert "Stopped. What came is kept; the same command goes on" in capsys.readouterr().err


def test_list_tells_what_is_here(model, cache, content, capsys):
    cache.mkdir()
    (cache / "sam2_hiera_large.pt").write_bytes(bytes(2_000_000))
    partial_path(model).write_bytes(bytes(1_000_000))

    assert main(["models", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    told = {name: rest for name, _, rest in (line.partition(" ") for line in lines)}
    assert told["sam2.1_hiera_nano"].endswith("MB  in the package")
    assert told["sam2_hiera_large"].strip() == "2 MB  downloaded"
    assert told["sam2.1_hiera_tiny"].strip() == "156 MB  begun, 1 MB"
    assert told["sam2_hiera_tiny"].strip() == "156 MB  not here"
    assert lines[-1] == f"Downloads are kept in {cache}"


def test_path_without_a_name_is_the_folder(cache, capsys):
    assert main(["models", "path"]) == 0
    assert capsys.readouterr().out == f"{cache}\n"


def test_path_of_the_embedded_model_is_in_the_package(cache, capsys):
    assert main(["models", "path", "sam2.1_hiera_nano"]) == 0
    assert capsys.readouterr().out.endswith("sam2.1_hiera_nano.safetensors\n")


def test_path_of_what_is_not_here_says_how_to_get_it(model, cache, capsys):
    assert main(["models", "path", "sam2.1_hiera_tiny"]) == 2
    assert "napari-sam2 models download sam2.1_hiera_tiny" in capsys.readouterr().err


@pytest.mark.parametrize("names", [[], ["sam2.1_hiera_tiny"]])
def test_file_as_published_is_verified(names, model, cache, content, capsys):
    cache.mkdir()
    (cache / model.file).write_bytes(content)

    assert main(["models", "verify", *names]) == 0
    assert capsys.readouterr().out == "sam2.1_hiera_tiny: as Meta published it\n"


def test_every_damaged_file_is_found(model, cache, content, capsys):
    cache.mkdir()
    for name in ("sam2_hiera_small.pt", "sam2_hiera_large.pt"):
        (cache / name).write_bytes(content)
    (cache / model.file).write_bytes(content)

    assert main(["models", "verify"]) == 2

    out, err = capsys.readouterr()
    assert out == "sam2.1_hiera_tiny: as Meta published it\n"
    for name in ("sam2_hiera_small", "sam2_hiera_large"):
        assert f"napari-sam2 models download {name}\n" in err


def test_file_that_is_not_here_cannot_be_verified(model, cache, capsys):
    assert main(["models", "verify", "sam2.1_hiera_tiny"]) == 2
    assert f"There is no {cache / model.file}" in capsys.readouterr().err


def test_empty_cache_has_nothing_to_verify(cache, capsys):
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == f"None of Meta's models is in {cache}\n"
