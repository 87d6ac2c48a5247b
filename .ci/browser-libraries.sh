#!/usr/bin/env bash
# Puts the browser libraries where the gateway serves them from: no page of ours loads anything from elsewhere.
set -euo pipefail

"$(dirname "$0")/npm.sh" ci --silent
vendor=web/static/vendor
mkdir -p "$vendor"
cp node_modules/socket.io-client/dist/socket.io{.min.js,.min.js.map,.js} "$vendor"
cp node_modules/uplot/dist/uPlot{.iife.min.js,.esm.js,.min.css} "$vendor"
