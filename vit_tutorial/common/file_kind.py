"""What a file is that is not what it should be: said by its first bytes, not by its name."""

from pathlib import Path

BEGINS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself: run git lfs pull"),
    (b"%PDF", "a PDF document: export its pages as PNG"),
    (b"PK\x03\x04", "a zip archive: unpack it"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"\x93NUMPY", "an array of NumPy: save it as PNG"),
)
TEXTS = (  # after spaces, in any case, and anywhere in the first bytes for SVG
    (b"<!doctype html", "a web page: the download went wrong, get the file again"),
    (b"<html", "a web page: the download went wrong, get the file again"),
    (b"<svg", "an SVG drawing: export it as PNG"),
)
PHONES = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1")
VIDEOS = (b"isom", b"mp41", b"mp42", b"qt  ", b"M4V ", b"avc1")


def kind_of(path: str | Path) -> str:
    """What the file at `path` is and what to do, such as "it is empty"; "" if nothing is known."""
    try:
        with open(path, "rb") as file:
            begin = file.read(512)
    except OSError:
        return ""
    if not begin:
        return "it is empty: the copy or the download was cut short"
    if begin[4:8] == b"ftyp" and begin[8:12] in PHONES:
        return "it is a HEIC photograph of a phone: save it as JPEG"
    if begin[4:8] == b"ftyp" and begin[8:12] in VIDEOS:
        return "it is a video: save some of its frames as pictures"
    text = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    found = next((words for start, words in BEGINS if begin.startswith(start)), "")
    found = found or next((words for start, words in TEXTS if text.startswith(start)), "")
    if not found and text.startswith(b"<?xml") and b"<svg" in text:
        found = TEXTS[-1][1]
    return f"it is {found}" if found else ""
