"""What a reader finds out in each lesson, one sentence for the README, and what shows it.

A new lesson gets an entry in FINDINGS. `shown` is text that the lesson's stored outputs hold, so
that a finding cannot outlive its lesson; a sentence with a number from data/results/ is a function,
and needs no `shown`. Entries of lessons that are not there are left out.
"""

import dataclasses
from collections.abc import Callable

import results_training
from results_common import read


@dataclasses.dataclass(frozen=True)
class Finding:
    sentence: str | Callable[[], str]
    shown: tuple[str, ...] = ()

    def text(self) -> str:
        return self.sentence if isinstance(self.sentence, str) else self.sentence()


def _cutmix() -> str:
    found = results_training.ingredients()["alone", "CutMix, every other image"]
    assert found["verdict_corrected"] == "lower", found
    return f"CutMix costs {-100 * found['difference']:.1f} points in a short training run."


def _large_start() -> str:
    randn = [row for row in read("study_start_shapes.csv") if row["variant"] == "randn"]
    kept = results_training.mean(randn, "cosine_with_start")
    return f"Positions initialised at standard deviation 1 hardly move: cosine {kept:.3f}."


FINDINGS = {
    "00": Finding(
        "Eight lines take an image through a whole ViT.", ("logits (1, 10); probability",)
    ),
    "01": Finding(
        "Forget one `permute`: every shape fits, every patch is wrong.",
        ("no error, the shape is (1, 196, 768)",),
    ),
    "02": Finding(
        "Read the wrong token: 99.9 % becomes 22.5 %, without an error.",
        ("read at -1: 0.999     read at 0: 0.225",),
    ),
    "03": Finding(
        "Without positions, accuracy stops at the 50 % that you derive first.",
        ("none       shape  99.8%   half  50.0%   class  49.9%",),
    ),
    "04": Finding(
        "If queries and keys share a layer, training never finds every left neighbour.",
        ("shared: none above the ceiling (0.015 for chance): True",),
    ),
    "05": Finding(
        "Without residuals, three blocks turn all patches into one vector.",
        ("without_residual             5e-01   6e-02   2e-04   2e-07",),
    ),
    "06": Finding(
        "The best of 200 random models scores 17 %; on new images, 9 %.",
        ("chosen on: 0.17", "others   : 0.09"),
    ),
    "06b": Finding(_cutmix),
    "08": Finding(_large_start),
    # Entries for lessons of the new map, until each is there.
    "15": Finding(_large_start),
    "17": Finding(_cutmix),
}
