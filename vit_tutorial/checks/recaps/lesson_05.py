"""The recap of lesson 05: what is right, and why."""

from .answer import Answer

QUESTIONS = (
    Answer(
        "b",
        "LayerNorm, MLP and addition treat each token by itself.",
        see="section 5.2",
    ),
    Answer("b", "LayerNorm forgets a token's scale, and here it is 10 times.", see="section 5.2"),
    Answer(
        "b",
        "Adding 0 twice changes nothing, and no norm stands on the stream itself.",
        see="the drawing of 5.1",
    ),
    Answer(36_864, "D to M and back: 2 x 96 x 192.", see="section 5.2"),
    Answer(
        "c", "The upper index counts rows, and the class token is row 0.", see="equation 4 in 5.5"
    ),
)
