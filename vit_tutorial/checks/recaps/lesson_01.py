"""The recap of lesson 01: patches."""

from .answer import Answer

QUESTIONS = (
    Answer(
        144, "There are 96 / 8 = 12 patches across and 12 down: 12 · 12 = 144.", see="section 1.1"
    ),
    Answer(
        12_352,
        "A patch has 8 · 8 · 3 = 192 numbers: 192 · 64 weights and 64 biases.",
        see="section 1.4",
    ),
    Answer(
        "b", "A reshape keeps the order of memory: channel by channel, line by line.", "section 1.3"
    ),
    Answer("c", "Every shape fits, but each weight meets the wrong number.", see="section 1.4"),
    Answer(
        36,
        "Six windows of 16 fit into 100 pixels: 6 · 6 = 36. Four lines and columns are lost.",
        see="section 1.6",
    ),
)
