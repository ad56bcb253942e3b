"""What a reader finds out in each lesson, one sentence for the README, and what shows it.

A new lesson gets an entry in FINDINGS. `shown` is text that the lesson's stored outputs hold, so
that a finding cannot outlive its lesson; a sentence with a number from data/results/ is a function,
and needs no `shown`. Entries of lessons that are not there are left out.
"""

import dataclasses
from collections.abc import Callable

import results_common
import results_looking
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


def _untrained_pointing() -> str:
    rows = results_looking.chosen(
        read("looking_maps.csv"), state="before training", method="last attention"
    )
    hits = results_training.mean(rows, "pointing")
    return f"Untrained, a ViT's attention points at the object in {100 * hits:.0f} % of the images."


def _taught() -> str:
    rows = [row for row in read("distillation.csv") if row["task"] == "shapes"]
    of = results_common.runs(rows, "accuracy", "student")
    taught, alone = of["hard, CNN",], of["alone, equal FLOPs",]
    found = results_common.compared(taught, alone, 1)
    assert found["verdict_corrected"] == "higher", found
    gain = round(100 * found["difference"])
    return f"Taught by a CNN, a ViT gains {gain} points from 200 images."


FINDINGS = {
    "00": Finding(
        "Ten lines of code are a whole ViT, and they name a cat.", ("ten lines say: cat",)
    ),
    "01": Finding(
        "Forget one `permute`: every shape fits, every patch is wrong.",
        ("error          answer: False", "right patches  answer: False"),
    ),
    "02": Finding(
        "Read the wrong token: 100 % becomes about 20 %, without an error.",
        ("class token 1.000   patch 0 0.1",),  # 16 or 20 %, by the processor
    ),
    "03": Finding(
        "Without positions, accuracy stops at the 50 % that you derive first.",
        ("half  50.0%   class  50.0%",),
    ),
    "04": Finding(
        "If queries and keys share a layer, training never finds every left neighbour.",
        ("one layer    seeds 0 to 4: 0.86  0.86  0.86  0.86  0.86",),
    ),
    "05": Finding(
        "Without residuals, three blocks turn all patches into one vector.",
        ("without         own   9 ->   0   common   8 ->  15",),
    ),
    "06": Finding(
        "The best of 200 random models scores 17 %; on new images, 9 %.",
        ("chosen on  answer: 0.17", "others     answer: 0.09"),
    ),
    "07": Finding(_untrained_pointing),
    "11": Finding(
        "To read single pixels, one table of attention would need 10 GB.",
        ("50,176        2,517,630,976       10,070.52",),
    ),
    "12": Finding(
        "Asked at the end for any of 16 patches, an LSTM gets 29 %.",
        ("any of 16 patches, asked for at the end", "LSTM, forget bias 5  answer: 0.29"),
    ),
    "13": Finding(
        "Mirrored training images fold the table: left and right get similar positions.",
        ("{'left-right': 0.95, 'up-down': 0.12}",),
    ),
    "14": Finding(
        "Rotary positions know how far apart two patches are, not where.",
        ("patch  0 reads patch  5: -0.378", "patch  5 reads patch 10: -0.378"),
    ),
    "15": Finding(_large_start),
    "16": Finding(
        "Where distance decides, a quiet learned table stays at chance; rotary gets 100 %.",
        ("rotary             100.0 100.0 100.0 100.0 100.0 %", "learned 1-D, quiet   8.3   8.4"),
    ),
    "17": Finding(_cutmix),
    "18": Finding(
        "Activations take 32 times the memory of weights, gradients and averages.",
        ("activations: 1.22 MB an image, 157 MB", "answer: 32"),
    ),
    "21": Finding(
        "Without positions, a ViT follows the same shifts as a CNN of its stride.",
        ("CNN, stride 4                   answer: 4", "ViT without positions, patch 4  answer: 4"),
    ),
    "22": Finding(
        "The paper's 4,262 exaFLOP for ViT-H/14: counted in ten lines, to 0.1 %.",
        ("ViT-H/14  632 M parameters  10.1 GB  335 GFLOP an image  4,258 exaFLOP in all",),
    ),
    "23": Finding(_taught),
    "24": Finding(
        "From a quarter of its pixels, a model paints an unseen cat.",
        ("neighbours  answer: 0.36", "model       answer: 0.19"),
    ),
    "25": Finding(
        "With matching, the loss of a set does not depend on its order.",
        ("(0, 1, 2, 3, 4): 4.86  (4, 3, 2, 1, 0): 4.86", "4.86", "8.06"),
    ),
    "26": Finding(
        "Nine attention heads, built by hand, are a 3 × 3 convolution.", ("answer: replicate",)
    ),
    "31": Finding(
        "The 307 M parameters of ViT-L/16 are those of ViT-L/32.",
        ("ViT-L/32: 306.5 M, the table says 307 M",),
    ),
}
