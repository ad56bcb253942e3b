"""Small valid images in many formats and modes, to be damaged."""

import functools
import io

import numpy as np
from PIL import Image, features

WIDTH, HEIGHT = 24, 17
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n"
EPS += b"0 0 20 20 rectfill\nshowpage\n"


@functools.cache
def valid_images() -> tuple[tuple[str, bytes], ...]:
    """(file name, content) of each."""
    draw = np.random.default_rng(0)
    photo = Image.fromarray(draw.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    grey16 = Image.fromarray(draw.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16))
    whole32 = Image.fromarray(draw.integers(0, 60000, (HEIGHT, WIDTH), dtype=np.int32))
    made: list[tuple[str, bytes]] = []

    def add(image: Image.Image, ending: str, **options) -> None:
        file = io.BytesIO()
        image.save(file, **options)
        made.append((f"{len(made):02}.{ending}", file.getvalue()))

    for mode in ("RGB", "L", "LA", "RGBA", "P", "1"):
        add(photo.convert(mode), "png", format="PNG")
    add(photo.convert("P"), "png", format="PNG", transparency=3)
    add(grey16, "png", format="PNG")
    turned = Image.Exif()
    turned[0x0112] = 6
    add(photo, "jpg", format="JPEG", exif=turned)
    add(photo, "jpg", format="JPEG", progressive=True, quality=95)
    for mode in ("L", "CMYK"):
        add(photo.convert(mode), "jpeg", format="JPEG")
    frames = [photo.convert("P"), photo.rotate(90).convert("P")]
    add(frames[0], "gif", format="GIF", save_all=True, append_images=frames[1:])
    add(photo, "bmp", format="BMP")
    for image, options in (
        (photo, {}),
        (photo, dict(compression="tiff_lzw")),
        (photo, dict(compression="jpeg")),
        (grey16, {}),
        (whole32, {}),
        (photo.convert("F"), {}),
        (photo.convert("CMYK"), {}),
    ):
        add(image, "tif", format="TIFF", **options)
    for ending, kind in (
        ("ppm", "PPM"),
        ("tga", "TGA"),
        ("ico", "ICO"),
        ("pcx", "PCX"),
        ("sgi", "SGI"),
    ):
        add(photo, ending, format=kind)
    if features.check("webp"):
        add(photo, "webp", format="WEBP", lossless=True)
        add(photo.convert("RGBA"), "webp", format="WEBP")
    if features.check("jpg_2000"):
        add(photo, "jp2", format="JPEG2000")
    if features.check("avif"):
        add(photo, "avif", format="AVIF")
    made.append(("drawing.eps", EPS))  # which Pillow would hand to another program
    return tuple(made)


def flat(shade: int) -> bytes:
    """A PNG of one grey."""
    file = io.BytesIO()
    Image.new("RGB", (10, 10), (shade, shade, shade)).save(file, format="PNG")
    return file.getvalue()
