"""Show a figure in a notebook together with its description."""

import io
import sys

from matplotlib.figure import Figure

from .base import png_bundle


def show(figure: Figure, alt: str) -> None:
    """Display a matplotlib figure as a PNG, with an alt text, and close it.

    figure: one of this package's or of pyplot's. A cell that ends with this call shows it once.
    alt: what the picture shows, in one or two sentences, for readers who cannot see it. It is
        stored as the picture's alt text, and is what a terminal prints in its place. Tests compare
        stored outputs: numbers that change from run to run do not belong in it.
    Raises ValueError for an empty alt text.
    """
    from IPython.display import display  # every notebook has it; scripts may not

    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            f"alt is {alt!r}: describe what the picture shows, for those who can't see it"
        )
    text, sharpness = " ".join(alt.split()), getattr(figure, "sharpness", 1)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi * sharpness, bbox_inches="tight")
    data, metadata = png_bundle(file.getvalue(), text, text, sharpness)
    display(data, metadata=metadata, raw=True)
    if "matplotlib.pyplot" in sys.modules:  # else no cell could show it a second time
        sys.modules["matplotlib.pyplot"].close(figure)
