"""Swap volumes as they lie on a disk (mm/swap/swap_header.c): what a test writes there, and what it finds."""
import struct
import subprocess

import disk

MIB = 1 << 20
START = MIB              # where the first partition begins; the others follow without a gap
MAGIC = b"BELLOWS SWAP\n\x1a\0\0"
VERSION, BYTES = 1, 512
PATTERN = b"not ours"


def checksum(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def header(block_bytes, blocks, boots, identity=bytes(16), version=VERSION):
    body = struct.pack("<16sII16sQQ", MAGIC, version, block_bytes, identity, blocks, boots).ljust(BYTES - 8, b"\0")
    return body + struct.pack("<Q", checksum(body))


def place(parted, name):
    """(first byte, bytes) of a disk.Disk's partition."""
    at = START
    for other, _, mib in parted.partitions:
        if other == name:
            return at, mib * MIB
        at += mib * MIB
    raise KeyError(name)


def fill_with(parted, boots=0, damage=False, version=VERSION):
    """For disk.Disk.fill: all partitions are full of a pattern; with `boots`, "swap" has a header that says so."""
    def fill(path):
        at, size = place(parted, "swap")
        with open(path, "r+b") as image:
            image.seek(START)
            for _, _, mib in parted.partitions:
                image.write(PATTERN * (mib * MIB // len(PATTERN)))
            if boots:
                made = bytearray(header(parted.block_bytes, size // parted.block_bytes, boots, b"0123456789abcdef", version))
                if damage:
                    made[60] ^= 4
                image.seek(at)
                image.write(made)
    return fill


def prepared(boots=0, damage=False, version=VERSION, **keys):
    """A disk with a swap volume between two other partitions."""
    parted = disk.Disk(**{"mib": 48, "partitions": (("before", "linux", 2), ("swap", "swap", 34), ("after", "disk", 2)), **keys})
    parted.fill = fill_with(parted, boots, damage, version)
    return parted


def is_as_it_should_be(parted, boots):
    """A step of a script: the volume has a sound header of so many boots, and no other partition was written."""
    def look(machine):
        at, size = place(parted, "swap")
        with open(machine.disk_paths[0], "rb") as image:
            image.seek(at)
            found = image.read(BYTES)
            identity = found[24:40]
            if found != header(parted.block_bytes, size // parted.block_bytes, boots, identity):
                raise AssertionError(f"the swap volume's header is {found.hex()}")
            for name, _, mib in parted.partitions:
                image.seek(place(parted, name)[0])
                if name != "swap" and image.read(mib * MIB) != PATTERN * (mib * MIB // len(PATTERN)):
                    raise AssertionError(f"partition {name} was written")
    return look


def are_deallocated(parted, first, count):
    """A step of a script: of what these slots held before there was a volume nothing is left."""
    def look(machine):
        at, _ = place(parted, "swap")
        with open(machine.disk_paths[0], "rb") as image:
            image.seek(at + 4096 * (1 + first))
            left = image.read(4096 * count).count(PATTERN)
            if left:
                raise AssertionError(f"{left * len(PATTERN) / 4096} slots of {count} were not deallocated")
    return look


def as_readme_says(path):
    """For disk.Disk.fill: a swap volume by the command that README.md gives."""
    subprocess.run(["sgdisk", "-n", "0:0:+16M", "-t", f"0:{disk.TYPES['swap']}", "-c", "0:swap1", path], check=True,
                   stdout=subprocess.DEVNULL)
