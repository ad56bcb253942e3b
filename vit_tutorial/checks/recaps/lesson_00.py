"""The recap of lesson 00: start here."""

from .answer import Answer

QUESTIONS = (
    Answer(16, "There are 32 / 8 = 4 patches across and 4 down: 4 · 4 = 16.", see="section 0.1"),
    Answer("a", "The map shows how far the probability falls.", see="section 0.2"),
    Answer("b", "A pattern that random weights show too was not learned.", see="section 0.2"),
    Answer("c", "All patches are still there. Only their places have changed.", see="section 0.3"),
    Answer("c", "Up to the mean, every other step treats each token by itself.", see="section 0.4"),
)
