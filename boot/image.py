#!/usr/bin/env python3
"""make image: one disk image that UEFI boots from a USB stick: a GPT with one EFI system partition.

    boot/image.py IMAGE PATH=FILE...      e.g. EFI/BOOT/BOOTX64.EFI=build/BOOTX64.EFI

Needs sgdisk, mkfs.vfat and mtools, and no rights beyond writing IMAGE.
"""
import os
import pathlib
import subprocess
import sys

MIB = 1 << 20
START = MIB                # of the partition; a FAT32 volume wants 65,525 clusters: 64 MiB of small ones
VOLUME_LEAST = 64 * MIB
ROOM = 16 * MIB            # for an edited configuration, another kernel


def parse(arguments):
    files = dict(argument.split("=", 1) for argument in arguments)
    missing = [name for name in files.values() if not os.path.isfile(name)]
    if missing:
        raise SystemExit(f"image: no such file: {', '.join(missing)}")
    return files


def volume_bytes(files):
    total = sum(os.path.getsize(name) for name in files.values())
    return max(VOLUME_LEAST, (total // MIB + 1) * MIB + ROOM)


def quietly(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode:
        raise SystemExit(f"image: {' '.join(map(str, command))}: {done.stdout}")


def make(image, files):
    volume = volume_bytes(files)
    partial = image.with_name(image.name + ".partial")
    with open(partial, "wb") as disk:
        disk.truncate(START + volume + MIB)        # the end holds the second partition table
    quietly("sgdisk", "--new", f"1:{START // 512}:+{volume // 1024}K", "--typecode", "1:ef00",
            "--change-name", "1:Bellows", partial)
    quietly("mkfs.vfat", "-F", "32", "-s", "1", "-n", "BELLOWS", "-h", str(START // 512),
            f"--offset={START // 512}", partial, str(volume // 1024))
    at = f"{partial}@@{START}"
    made = set()
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    for path, source in files.items():
        for parent in reversed(pathlib.PurePosixPath(path).parents[:-1]):
            if parent not in made:
                quietly("mmd", "-i", at, f"::{parent}", env=environment)
                made.add(parent)
        quietly("mcopy", "-i", at, os.path.realpath(source), f"::{path}", env=environment)
    partial.rename(image)
    return START + volume + MIB


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    image = pathlib.Path(sys.argv[1])
    size = make(image, parse(sys.argv[2:]))
    print(f"{image}: {size // MIB} MiB, GPT with an EFI system partition; the README says how to write it to a stick")


if __name__ == "__main__":
    main()
