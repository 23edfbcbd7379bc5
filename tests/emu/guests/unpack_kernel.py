#!/usr/bin/env python3
"""Take the ELF kernel out of a bzImage.

The setup header says where the compressed payload lies (Linux boot protocol, payload_offset and
payload_length, version 2.08 on); its first bytes tell the format, its last four the unpacked size.
"""
import struct
import subprocess
import sys

SECTOR = 512
SETUP_SECTS, HEADER_MAGIC, PAYLOAD_OFFSET = 0x1F1, 0x202, 0x248
UNPACKERS = [
    (b"\x02\x21\x4c\x18", ["lz4", "-dc"]),
    (b"\x28\xb5\x2f\xfd", ["zstd", "-dcq"]),
    (b"\xfd7zXZ\x00", ["xz", "-dcq", "--single-stream"]),
    (b"\x1f\x8b\x08", ["gzip", "-dcq"]),
]


def unpack(image):
    if image[HEADER_MAGIC:HEADER_MAGIC + 4] != b"HdrS":
        raise SystemExit("not a bzImage")
    start = ((image[SETUP_SECTS] or 4) + 1) * SECTOR
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    payload = image[start + offset:start + offset + length]
    size = struct.unpack("<I", payload[-4:])[0]
    for magic, command in UNPACKERS:
        if payload.startswith(magic):
            elf = subprocess.run(command, input=payload[:-4], stdout=subprocess.PIPE,
                                 check=False).stdout
            break
    else:
        raise SystemExit(f"unknown compression {payload[:6].hex()}")
    if len(elf) != size or not elf.startswith(b"\x7fELF"):
        raise SystemExit(f"payload unpacks to {len(elf)} bytes, {size} were announced")
    return elf


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source:
        kernel = unpack(source.read())
    with open(sys.argv[2], "wb") as target:
        target.write(kernel)
