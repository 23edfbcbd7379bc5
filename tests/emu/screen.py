"""A machine's screen and keyboard: read the text of a screenshot, type through the monitor.

The hypervisor draws one font, cell by cell, so reading needs no guessing: a cell's pixels are looked up
among the font's glyphs, and what is no glyph is shown as the replacement character.
"""
import gzip
import pathlib
import struct
import zlib

FONT = pathlib.Path("/usr/share/consolefonts/Unifont-APL8x16.psf.gz")
UNKNOWN = "\ufffd"
KEYS = {" ": "spc", "\r": "ret", "\n": "ret", "\b": "backspace", "\t": "tab", "-": "minus", "=": "equal",
        "[": "bracket_left", "]": "bracket_right", ";": "semicolon", "'": "apostrophe", "`": "grave_accent",
        "\\": "backslash", ",": "comma", ".": "dot", "/": "slash", "\x1d": "ctrl-bracket_right"}


def load_font(path=FONT):
    """(height, {rows of a glyph, a byte each: its ASCII character}) of a PSF1 font, 8 pixels wide."""
    data = gzip.decompress(pathlib.Path(path).read_bytes())
    magic, mode, height = struct.unpack_from("<HBB", data)
    if magic != 0x0436 or not mode & 2:
        raise ValueError(f"{path} is no PSF1 font with a Unicode table")
    count = 512 if mode & 1 else 256
    codes = struct.unpack_from(f"<{(len(data) - 4 - count * height) // 2}H", data, 4 + count * height)
    glyphs, glyph, in_sequence = {}, 0, False
    for code in codes:
        if code == 0xFFFF:
            glyph, in_sequence = glyph + 1, False
        elif code == 0xFFFE:
            in_sequence = True
        elif 0x20 <= code < 0x7F and not in_sequence:
            glyphs[data[4 + glyph * height:4 + (glyph + 1) * height]] = chr(code)
    return height, glyphs


def load_ppm(data):
    """(width, height, RGB bytes) of a binary PPM as QEMU dumps it."""
    fields = data.split(maxsplit=4)[:4]
    if fields[0] != b"P6" or fields[3] != b"255":
        raise ValueError("this is no picture that QEMU writes")
    width, height = int(fields[1]), int(fields[2])
    return width, height, data[len(data) - width * height * 3:]


def read_text(ppm, font=None):
    """The screen's rows as text."""
    glyph_height, glyphs = font or load_font()
    width, height, rgb = load_ppm(ppm)
    rows = []
    for top in range(0, height - glyph_height + 1, glyph_height):
        row = []
        for left in range(0, width - 7, 8):
            cell = bytearray()
            for y in range(top, top + glyph_height):
                at = (y * width + left) * 3
                bits = 0
                for green in rgb[at + 1:at + 24:3]:
                    bits = bits << 1 | (green > 96)
                cell.append(bits)
            row.append(glyphs.get(bytes(cell), UNKNOWN))
        rows.append("".join(row).rstrip())
    return "\n".join(rows).rstrip("\n") + "\n"


def to_png(ppm):
    """The same picture for people and their viewers."""
    width, height, rgb = load_ppm(ppm)
    lines = b"".join(b"\0" + rgb[y * width * 3:(y + 1) * width * 3] for y in range(height))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(lines, 6)) + chunk(b"IEND", b""))


def key_names(text):
    """The keys, as QEMU's sendkey names them, that type this text on a US keyboard."""
    for character in text:
        if character in KEYS:
            yield KEYS[character]
        elif character.isupper():
            yield "shift-" + character.lower()
        else:
            yield character
