"""Run a command with a display: the one there is, else a virtual one if Xvfb is there."""

import os
import shutil
import subprocess
import sys

if __name__ == "__main__":
    command = sys.argv[1:]
    has_display = sys.platform != "linux" or "DISPLAY" in os.environ
    if not has_display and shutil.which("xvfb-run"):
        command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24 +extension GLX", *command]
    sys.exit(subprocess.call(command))
