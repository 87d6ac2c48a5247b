#!/usr/bin/env bash
# Makes the virtual environment $1 with the first Python of 3.11 or later; leaves a working one as it is.
set -euo pipefail
venv=${1:-.venv}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if recent "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

for name in ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14}; do
    if recent "$name"; then
        python=$name
        break
    fi
done
if [ -z "${python:-}" ]; then
    echo "Passerelle needs Python 3.11 or later and found none. Set PYTHON=/path/to/python if it is somewhere unusual." >&2
    exit 1
fi

# Debian keeps the part of Python that makes virtual environments in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! command -v apt-get >/dev/null; then
        echo "$python lacks the modules venv and ensurepip, which make virtual environments: install them." >&2
        exit 1
    fi
    "$(dirname "$0")/apt.sh" "python$version-venv"
fi

echo "Making $venv with $("$python" --version)"
rm -rf "$venv"
"$python" -m venv "$venv"
