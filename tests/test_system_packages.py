"""The script that installs system packages, on pretended systems."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "install_system_packages.sh"

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("sh") is None, reason="there is no sh"
)


@pytest.fixture
def system(tmp_path):
    """A system with apt, told which packages it offers and has; gives what it installs."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "grep", "tr", "env"):
        (tools / name).symlink_to(shutil.which(name))

    def command(name, *lines):
        (tools / name).write_text("\n".join(["#!/bin/sh", *lines]))
        (tools / name).chmod(0o755)

    def run(*, offered, has=(), user=0, python="exit 0"):
        has_it = "|".join([*has, "nothing"])
        command("dpkg-query", f'case "$4" in {has_it}) echo "install ok installed" ;; esac')
        command("apt-cache", f'case "$2" in {"|".join(offered)}) exit 0 ;; esac', "exit 100")
        command("apt-get", f'echo "$@" >> {tmp_path}/asked')
        command("id", f"echo {user}")
        command("python3", python)
        done = subprocess.run(
            [tools / "sh", SCRIPT], env={"PATH": str(tools)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        asked = tmp_path / "asked"
        return (asked.read_text() if asked.exists() else "").split(), done.stderr

    return run


WITHOUT_ENSUREPIP = 'case "$2" in *ensurepip*) exit 1 ;; *) echo 3.12 ;; esac'


@pytest.mark.parametrize("name", ["libglib2.0-0", "libglib2.0-0t64"])
def test_packages_are_installed_by_the_name_that_the_release_has(system, name):
    asked, _ = system(offered=["xvfb", name])

    assert [word for word in asked if word.startswith("libglib")] == [name]


@pytest.mark.parametrize("name", ["libglib2.0-0", "libglib2.0-0t64"])
def test_package_that_is_there_by_either_name_is_not_installed_again(system, name):
    asked, _ = system(offered=["*"], has=[name])

    assert "xvfb" in asked
    assert not any(word.startswith("libglib") for word in asked)


@pytest.mark.parametrize(
    ("offered", "expected"), [(["*"], "python3.12-venv"), (["python3-venv"], "python3-venv")]
)
def test_python_that_cannot_make_environments_gets_what_it_lacks(system, offered, expected):
    asked, _ = system(offered=offered, python=WITHOUT_ENSUREPIP)

    assert [word for word in asked if "venv" in word] == [expected]


def test_python_is_installed_where_there_is_none(system):
    asked, _ = system(offered=["*"], python="exit 127")

    assert "python3-venv" in asked


def test_complete_python_is_left_alone(system):
    asked, _ = system(offered=["*"])

    assert not any("venv" in word for word in asked)


def test_complete_system_is_not_touched(system):
    assert system(offered=["*"], has=["*"]) == ([], "")


def test_user_without_rights_is_told_what_to_install(system):
    asked, told = system(offered=["*"], user=1000)

    assert asked == []
    assert "libglib2.0-0t64|libglib2.0-0" in told


def test_other_systems_are_left_alone(tmp_path):
    done = subprocess.run(
        [shutil.which("sh"), SCRIPT], env={**os.environ, "PATH": str(tmp_path)}, check=True
    )

    assert done.returncode == 0
