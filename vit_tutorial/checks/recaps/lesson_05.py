"""The recap of lesson 05: what is right, and why."""

from .answer import Answer

QUESTIONS = (
    Answer("b", "a LayerNorm, the MLP and the addition treat each token by itself (5.2)."),
    Answer("b", "LayerNorm forgets the scale of a token: all three numbers are 10 times as large."),
    Answer("b", "x + 0, twice: nothing on the stream changes it, not even a norm (5.1)."),
    Answer(36_864, "D to M and back: 2 x 96 x 192 (5.2)."),
    Answer("c", "the upper index counts the rows, and the class token is row 0 (5.5)."),
)
