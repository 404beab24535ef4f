import re
import shutil
import socket

import pytest

from napari_sam2.downloads import DownloadError, download_weights, is_as_published, partial_path

HALF = 150_000


@pytest.fixture
def begun(cache, content, model):
    """The first half of the file, as a download that was stopped leaves it."""
    cache.mkdir()
    partial_path(model).write_bytes(content[:HALF])


def test_file_is_fetched_into_the_cache(model, cache, content, kept):
    path = download_weights(model)

    assert path == cache / model.file
    assert path.read_bytes() == content
    assert kept() == {model.file: len(content)}


def test_model_is_fetched_by_metas_name_for_it(model, content):
    assert download_weights("facebook/sam2.1-hiera-tiny").read_bytes() == content


def test_unknown_name_is_answered_with_those_there_are(model):
    with pytest.raises(ValueError, match=r"no model 'sam3'.*'sam2\.1_hiera_tiny'"):
        download_weights("sam3")


def test_file_that_is_here_is_not_fetched_again(model, server):
    download_weights(model)
    server.asked.clear()

    download_weights(model)

    assert not server.asked


def test_broken_transfer_keeps_what_came(model, server, kept):
    server.sends = HALF

    with pytest.raises(DownloadError, match=r"the transfer broke off\. The 0\.1 MB that came"):
        download_weights(model)

    ((name, size),) = kept().items()
    assert name == f"{model.file}.partial"
    assert HALF // 2 < size <= HALF


def test_only_what_is_missing_is_asked_for(model, server, content, begun, kept):
    path = download_weights(model)

    assert server.asked == [(f"/{model.file}", f"bytes={HALF}-")]
    assert path.read_bytes() == content
    assert kept() == {model.file: len(content)}


def test_transfer_that_breaks_off_again_and_again_ends(model, server, content):
    server.sends = 100_000
    for _ in range(2):
        with pytest.raises(DownloadError, match="broke off"):
            download_weights(model)
    server.sends = None

    assert download_weights(model).read_bytes() == content


def test_server_that_sends_no_parts_sends_all(model, server, content, begun):
    server.knows_ranges = False
    told = []

    path = download_weights(model, report=lambda *progress: told.append(progress))

    assert path.read_bytes() == content
    assert len(server.asked) == 1
    assert told[-1] == (len(content), len(content))


def test_whole_file_without_its_name_is_not_fetched_again(model, server, content, begun):
    partial_path(model).write_bytes(content)

    assert download_weights(model).read_bytes() == content
    assert server.asked == [(f"/{model.file}", f"bytes={len(content)}-")]


@pytest.mark.parametrize("size", [HALF, 400_000])
def test_beginning_of_another_file_is_thrown_away(size, model, content, begun):
    partial_path(model).write_bytes(bytes(size))

    assert download_weights(model).read_bytes() == content


def test_server_that_promises_too_much_leaves_no_file(model, server, content, kept):
    server.announces = len(content) + 1000

    with pytest.raises(DownloadError, match="broke off"):
        download_weights(model)
    assert model.file not in kept()


def test_server_that_promises_too_little_leaves_no_file(model, server, kept):
    server.announces = HALF

    with pytest.raises(DownloadError, match="is not Meta's"):
        download_weights(model)
    assert not kept()


def test_another_file_is_refused_and_leaves_nothing(model, server, kept):
    server.files[f"/{model.file}"] = b"<html>Please log in</html>"

    with pytest.raises(DownloadError, match=rf"expected sha256:{model.sha256} but got [0-9a-f]+"):
        download_weights(model)
    assert not kept()


def test_another_file_replaces_nothing_that_is_here(model, server, cache):
    cache.mkdir()
    (cache / model.file).write_bytes(b"trained by the user")
    server.files[f"/{model.file}"] = b"<html>Please log in</html>"

    with pytest.raises(DownloadError):
        download_weights(model)
    assert (cache / model.file).read_bytes() == b"trained by the user"


def test_damaged_file_is_replaced(model, content, cache):
    cache.mkdir()
    (cache / model.file).write_bytes(content[:-1])

    assert download_weights(model).read_bytes() == content


@pytest.mark.parametrize("part", ["cannot be fetched from {url}", "404 Not Found", "into {cache}"])
def test_file_that_the_server_lacks_is_named(part, model, server, cache):
    server.files.clear()
    expected = part.format(url=f"{server.url}/{model.file}", cache=cache)

    with pytest.raises(DownloadError, match=re.escape(expected)):
        download_weights(model)


def test_refusal_costs_nothing_of_what_is_here(model, server, begun, kept):
    server.files.clear()

    with pytest.raises(DownloadError, match="404"):
        download_weights(model)
    assert kept() == {f"{model.file}.partial": HALF}


def test_without_network_it_says_so(model):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DownloadError, match="no connection to the server"):
            download_weights(model, mirror=nobody)


def test_mirror_that_is_no_address_is_named(model):
    with pytest.raises(DownloadError, match=r"cannot be fetched .*Invalid URL 'lab/sam2"):
        download_weights(model, mirror="lab")


def test_progress_begins_with_what_is_here(model, content, begun):
    told = []

    download_weights(model, report=lambda *progress: told.append(progress))

    assert told[0] == (HALF, len(content))
    assert told[-1] == (len(content), len(content))


def test_what_the_report_raises_stops_and_keeps_what_came(model, kept):
    def stop(here, total):
        if here > HALF:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_weights(model, report=stop)
    ((name, size),) = kept().items()
    assert name == f"{model.file}.partial"
    assert size > HALF


def test_full_disk_is_noticed_before_anything_comes(model, monkeypatch, begun, kept):
    full = shutil.disk_usage("/")._replace(free=HALF - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)

    with pytest.raises(DownloadError, match=r"has room for .* MB, and .* MB are needed"):
        download_weights(model)
    assert kept() == {f"{model.file}.partial": HALF}


def test_changed_file_is_told_from_the_published_one(model):
    path = download_weights(model)
    assert is_as_published(model)

    path.write_bytes(path.read_bytes()[:-1])
    assert not is_as_published(model)
