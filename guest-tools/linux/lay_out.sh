#!/bin/bash
# Lay out the driver's source tree as DKMS and the kernel's make want it: lay_out.sh FOLDER VERSION
#
# Sources keep their paths in the repository, below the Kbuild file, so that their #includes hold.
set -euo pipefail
out=$1 version=$2
cd "$(dirname "$0")/../.."
rm -rf "$out"
mkdir -p "$out/guest-tools/linux" "$out/hv/abi"
cp -r guest-tools/linux/driver "$out/guest-tools/linux/"
mv "$out/guest-tools/linux/driver/Kbuild" "$out/"
cp hv/abi/hypercall.h hv/abi/balloon.h "$out/hv/abi/"
echo "$version" >"$out/version"
