"""Ogg files that are the same bit for bit when their audio is.

libsndfile gives each Ogg stream a random serial number; here every page gets a fixed one, and the
checksum that goes with it.
"""

import zlib
from pathlib import Path

_SERIAL = (1).to_bytes(4, "little")
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> bytes:
    # Ogg's CRC is zlib's with the bits of every byte and of the result the other way round, and
    # without the two inversions.
    crc = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_MIRROR)


def fix_serial_numbers(path: Path) -> None:
    """Rewrite the page headers of the Ogg file at `path` in place.

    Reference:
        RFC 3533, section 6: serial number in bytes 14 to 17 of a page, checksum in 22 to 25.
    """
    with path.open("r+b") as file:
        while header := file.read(27):
            start = file.tell() - 27
            if len(header) < 27 or header[:4] != b"OggS":
                raise ValueError(f"not an Ogg page at byte {start} of {path}")
            sizes = file.read(header[26])
            body = file.read(sum(sizes))
            head = header[:14] + _SERIAL + header[18:22]
            crc = _checksum(head + bytes(4) + header[26:] + sizes + body)
            end = file.tell()
            file.seek(start)
            file.write(head + crc)
            file.seek(end)
