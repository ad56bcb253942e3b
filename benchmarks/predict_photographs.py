"""What `predict` says of three photographs: python benchmarks/predict_photographs.py

Each is a file as scikit-image ships it, given to the command line: a cat (451 x 300 pixels), a
horse (a black silhouette with one bit a pixel), and a rocket, which is none of CIFAR-10's classes.
A row of data/results/predict_photographs.csv (--out) for each model and photograph.
"""

import tempfile
from pathlib import Path

import common
import skimage
import torch

from vit_tutorial.cli.main import main as command_line
from vit_tutorial.common import files

MODELS = ("weights:start_0.02", "weights:start_randn")
PHOTOGRAPHS = {"cat": "chelsea.png", "horse": "horse.png", "rocket": "rocket.jpg"}


def main() -> None:
    parser = common.make_parser(__doc__)
    parser.add_argument("--out", type=Path, default=common.RESULTS / "predict_photographs.csv")
    args = parser.parse_args()
    folder = Path(skimage.__file__).parent / "data"
    hardware = common.processor(torch.device("cpu"))
    sources = common.provenance(Path(__file__).name, hardware, packages=("torch", "pillow"))
    rows = []
    for model in MODELS:
        with tempfile.TemporaryDirectory() as place:
            table = Path(place) / "answers.csv"
            names = [str(folder / name) for name in PHOTOGRAPHS.values()]
            command_line(["predict", model, *names, "--csv", str(table), "--device", "cpu"])
            found = files.read_rows(table)
        for (photograph, file), row in zip(PHOTOGRAPHS.items(), found, strict=True):
            rows.append({"model": model, "photograph": photograph} | row | {"file": file} | sources)
    common.write_table(args.out, rows)


if __name__ == "__main__":
    main()
