"""What tests of the command line do alike."""

from __future__ import annotations


def write(path, text):
    path.write_text(text)
    return path
