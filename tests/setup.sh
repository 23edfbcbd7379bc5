#!/bin/bash
# Install the Debian packages that building and testing need, if any is missing.
#
# Says what it will install before it does; silent and quick when nothing lacks. Everything comes from
# the archives that this machine's apt already knows. Uses sudo where it is not root.
set -euo pipefail

# What each is for: the compiler, loader and console font; the machines; the guests and images;
# the Debian root for packages; the tools that watch a host, and a terminal for them; tests and fuzzing.
PACKAGES=(
	build-essential gnu-efi liblz4-dev psf-unifont
	qemu-system-x86 qemu-utils ovmf vgabios bochsbios libltdl-dev libncurses-dev file
	busybox-static cpio lz4 zstd xz-utils kmod mtools dosfstools gdisk e2fsprogs acpica-tools
	mmdebstrap
	libjson-c-dev libmicrohttpd-dev tmux
	python3 libcmocka-dev libzydis-dev clang clang-format libclang-rt-14-dev binutils
)

missing() {
	# dpkg-query names every package it does not know on stderr; the rest come with their state.
	local package state
	declare -A installed=()
	while IFS=' ' read -r package state; do
		[ "$state" = installed ] && installed[$package]=1
	done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${PACKAGES[@]}" 2>/dev/null || true)
	for package in "${PACKAGES[@]}"; do
		[ -n "${installed[$package]:-}" ] || echo "$package"
	done
}

if ! command -v dpkg-query >/dev/null; then
	echo "setup: this is no Debian; these packages, or what they hold, are needed: ${PACKAGES[*]}" >&2
	exit 0
fi
mapfile -t wanted < <(missing)
[ "${#wanted[@]}" -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo)
	command -v sudo >/dev/null || {
		echo "setup: missing ${wanted[*]}; run as root: apt-get install ${wanted[*]}" >&2
		exit 1
	}
fi
echo "setup: about to install these Debian packages: ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q
	--no-install-recommends "${wanted[@]}")
# Lists may be absent (a fresh container) or stale: either way the first try fails and is repeated.
if ! apt-cache show "${wanted[@]}" >/dev/null 2>&1; then
	"${as_root[@]}" apt-get update -q
	"${install[@]}"
elif ! "${install[@]}"; then
	"${as_root[@]}" apt-get update -q
	"${install[@]}"
fi
