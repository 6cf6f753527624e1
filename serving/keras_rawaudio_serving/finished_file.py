"""Is an audio file whole? libsndfile closes FLAC and Ogg on a full disk without a word."""

import zlib
from pathlib import Path

from .audio import file_name

# libsndfile gives each Ogg stream a random serial number. With a fixed one equal audio gives equal
# files.
_OGG_SERIAL = (1).to_bytes(4, "little")
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_LAST_PAGE = 4  # a flag in byte 5 of a page


def finish(path: Path, frames: int) -> None:
    """Check that a file is whole, and give an Ogg file a fixed serial number.

    Args:
        path: WAV, FLAC or Ogg, closed by libsndfile, which reports failures to write a WAV.
        frames: samples of each channel that were written.

    Raises:
        ValueError: it is not whole.
    """
    kind = path.suffix.lower()
    if kind == ".ogg":
        _fix_ogg_serial_numbers(path)
    if kind == ".flac" and frames:
        import soundfile

        try:
            with soundfile.SoundFile(file_name(path)) as file:
                whole = file.frames == frames
                if whole:
                    file.seek(frames - 1)
                    whole = len(file.read(1)) == 1
        except RuntimeError:
            whole = False
        if not whole:
            raise ValueError(f"{path} is not whole")


def _checksum(page: bytes) -> bytes:
    # Ogg's CRC is zlib's without its two inversions, and with the bits of each byte mirrored.
    crc = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_MIRROR)


def _fix_ogg_serial_numbers(path: Path) -> None:
    """Rewrite the page headers of the Ogg file at `path` in place; all of them must be there.

    Raises:
        ValueError: a page is missing or cut.

    Reference:
        RFC 3533, section 6: flags in byte 5 of a page, serial number in bytes 14 to 17, page number
        in 18 to 21, checksum in 22 to 25.
    """
    number, last = 0, False
    with path.open("r+b") as file:
        while header := file.read(27):
            start = file.tell() - 27
            if len(header) < 27 or header[:4] != b"OggS":
                raise ValueError(f"not an Ogg page at byte {start} of {path}")
            sizes = file.read(header[26])
            body = file.read(sum(sizes))
            if len(body) < sum(sizes) or int.from_bytes(header[18:22], "little") != number:
                raise ValueError(f"a page of {path} is not whole")
            number, last = number + 1, bool(header[5] & _LAST_PAGE)
            head = header[:14] + _OGG_SERIAL + header[18:22]
            crc = _checksum(head + bytes(4) + header[26:] + sizes + body)
            end = file.tell()
            file.seek(start)
            file.write(head + crc)
            file.seek(end)
    if not last:
        raise ValueError(f"{path} has no end")
