#!/bin/bash
# Fetch promtool, which checks alert rules and metrics, out of Debian's package prometheus: prints its path.
#
# The package itself, which would start a server, is not installed. What is fetched stays in the cache.
set -euo pipefail

cache="${XDG_CACHE_HOME:-$HOME/.cache}/bellows/promtool"
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -x "$cache/promtool" ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	echo "promtool: fetching the package prometheus through apt" >&2
	(cd "$work" && apt-get download -q prometheus >&2)
	dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$work/promtool"
	chmod +x "$work/promtool"
	mv "$work/promtool" "$cache/promtool"
fi
echo "$cache/promtool"
