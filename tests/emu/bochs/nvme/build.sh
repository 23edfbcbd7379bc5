#!/bin/bash
# Build the NVMe plugin against the headers kept beside Bochs (tests/emu/bochs/build.sh), into the
# cache, once for each state of its sources. Prints the directory that holds libbx_nvme.so.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
prefix=$("$here/../build.sh")
key=$(cat "$here"/*.cc "$here"/*.h "$0" | sha256sum | cut -c1-16)
out="$prefix/nvme-$key"
if [ ! -e "$out/libbx_nvme.so" ]; then
	mkdir -p "$out"
	g++ -std=gnu++17 -O2 -fno-strict-aliasing -fPIC -shared -Wall -Wextra -Wno-unused-parameter \
		-isystem "$prefix/tree" -isystem "$prefix/tree/instrument/stubs" \
		-o "$out/new.$$" "$here"/*.cc >&2
	mv "$out/new.$$" "$out/libbx_nvme.so"
fi
echo "$out"
