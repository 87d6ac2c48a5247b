#!/usr/bin/env bash
# Installs the Debian packages named, as root or with a sudo that asks no password; else says what is missing.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
    as_root=()
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "Missing Debian packages: $*" >&2
    echo "Neither root nor sudo without a password is at hand. Please run: sudo apt-get install $*" >&2
    exit 1
fi

echo "Installing Debian packages: $*"
# RUNLEVEL=1 keeps sysvinit from starting services that come along; systemd has no such switch.
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get install -qq --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$@")
"${as_root[@]}" apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here." >&2
"${install[@]}" >/dev/null
