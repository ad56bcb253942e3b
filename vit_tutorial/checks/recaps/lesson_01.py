"""The recap of lesson 01: patches."""

from .answer import Answer

QUESTIONS = (
    Answer(144, "96 / 8 = 12 patches fit across and 12 fit down: 12 · 12.", see="section 1.1"),
    Answer(12_352, "8 · 8 · 3 = 192 inputs: 192 · 64 weights and 64 biases.", see="section 1.4"),
    Answer(
        "b", "reshape keeps the order of memory: channel by channel, line by line.", "section 1.3"
    ),
    Answer("c", "Every shape fits, but each weight meets another number.", see="section 1.4"),
    Answer(
        36, "6 windows of 16 pixels fit into 100: 6 · 6. Four pixels are lost.", see="section 1.6"
    ),
)
