#!/bin/sh
# Install what a virtual environment, Qt and a virtual screen need on Debian and Ubuntu;
# elsewhere do nothing. PYTHON names the interpreter, python3 unless set.
set -e

# Where releases name a package differently, any of the names will do.
packages="xvfb xauth libgl1 libegl1 libgl1-mesa-dri libdbus-1-3 libfontconfig1
libglib2.0-0t64|libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1"

command -v apt-get > /dev/null && command -v dpkg-query > /dev/null || exit 0

# Debian keeps what python -m venv needs in a package of its own.
python=${PYTHON:-python3}
if ! "$python" -c "import ensurepip" 2> /dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || true)
    packages="$packages ${version:+python$version-venv|}python3-venv"
fi

missing=""
for names in $packages; do
    for package in $(echo "$names" | tr '|' ' '); do
        if dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q "ok installed"; then
            continue 2
        fi
    done
    missing="$missing $names"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo > /dev/null; then
    as_root="sudo"
else
    echo "Not root, and there is no sudo; install these packages yourself (one of a|b):$missing" >&2
    exit 0
fi
$as_root apt-get update -qq
chosen=""
for names in $missing; do
    for package in $(echo "$names" | tr '|' ' '); do
        if apt-cache show "$package" > /dev/null 2>&1; then
            break
        fi
    done
    # The last where there is none: apt says what it has not.
    chosen="$chosen $package"
done
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $chosen
