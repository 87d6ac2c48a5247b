#!/usr/bin/env bash
# Brings the programs that the tests drive: the real broker and its tools, a real browser, and fonts for it.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

missing=()
while read -r program package; do
    command -v "$program" >/dev/null || missing+=("$package")
done <<'TABLE'
mosquitto mosquitto
mosquitto_pub mosquitto-clients
chromium chromium
TABLE

if [ -z "$(find /usr/share/fonts /usr/local/share/fonts -name '*.ttf' -print -quit 2>/dev/null)" ]; then
    missing+=(fonts-dejavu-core)
fi
# The Node that playwright brings is linked with it.
if ! ldconfig -p | grep -q 'libatomic\.so\.1'; then
    missing+=(libatomic1)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "The tests need these programs, which this machine lacks: ${missing[*]} (names of Debian packages)." >&2
    exit 1
fi
"$(dirname "$0")/apt.sh" "${missing[@]}"

if [[ " ${missing[*]} " == *" mosquitto "* && -d /run/systemd/system ]]; then
    echo "Debian has started its own mosquitto on port 1883. To free the port: systemctl disable --now mosquitto"
fi
