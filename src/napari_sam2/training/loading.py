"""Loading what torch's optimizers need, in programs that have loaded Mesa before."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

MAPPED = Path("/proc/self/maps")  #: which libraries are loaded, on Linux


def load_optimizers() -> None:
    """Load torch's compiler, as its optimizers do at their first step, but without a crash.

    The compiler loads triton where it is installed. triton and Mesa's software OpenGL, by which
    napari draws where there is no graphics card, each bring an LLVM, and the process dies when
    triton's is loaded second. Nothing that is trained here needs triton.
    """
    if "torch._dynamo" in sys.modules or "triton" in sys.modules or not _has_llvm():
        return
    sys.modules["triton"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        importlib.import_module("torch._dynamo")
    finally:
        del sys.modules["triton"]


def _has_llvm() -> bool:
    try:
        return "libLLVM" in MAPPED.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux, and no Mesa
        return False
