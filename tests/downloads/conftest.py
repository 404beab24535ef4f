"""A real server on loopback that misbehaves when told to, and a small file in a model's place."""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from napari_sam2.model import registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class FileServer:
    """What it sends, how it misbehaves, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    sends: int | None = None  #: bytes after which it hangs up
    announces: int | None = None  #: length that it claims, whatever it sends
    knows_ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)  #: path, range

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append((request.path, wanted))
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start = 0
        if wanted and self.knows_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_error(416)
                return
        body = content[start:]
        request.send_response(206 if start else 200)
        if start:
            last = len(content) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        length = len(body) if self.announces is None else self.announces
        request.send_header("Content-Length", str(length))
        request.end_headers()
        request.wfile.write(body[: self.sends])


@pytest.fixture
def server(monkeypatch) -> Iterator[FileServer]:
    told = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.answer(self)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    # A proxy of the machine's knows nothing of its loopback.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        told.url = f"http://127.0.0.1:{listening.server_port}"
        # shutdown returns at the next poll.
        serving = threading.Thread(target=listening.serve_forever, args=(0.01,))
        serving.start()
        monkeypatch.setenv("NAPARI_SAM2_MIRROR", told.url)
        yield told
        listening.shutdown()
        serving.join()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of downloads, which does not exist yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAPARI_SAM2_CACHE", str(folder))
    return folder


@pytest.fixture
def content() -> bytes:
    """300 kB without any order, so that a piece in the wrong place is noticed."""
    return random.Random(0).randbytes(300_000)


@pytest.fixture
def model(server, cache, content, monkeypatch) -> registry.PublishedModel:
    """The first model of the registry with a small file, which the server has."""
    first, *others = registry.PUBLISHED
    stand_in = replace(first, sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(registry, "PUBLISHED", (stand_in, *others))
    server.files[f"/{stand_in.file}"] = content
    return stand_in


@pytest.fixture
def kept(cache):
    """Give the names and sizes of what is in the cache."""
    return lambda: {path.name: path.stat().st_size for path in cache.iterdir()}
