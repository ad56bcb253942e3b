"""The recap of lesson 05: what is right, and why."""

from .answer import Answer

QUESTIONS = (
    Answer(
        "b",
        "LayerNorm, the MLP and the additions treat each token separately.",
        see="section 5.2",
    ),
    Answer(
        "b",
        "LayerNorm forgets a token's scale, and (10, 20, 60) is 10 times (1, 2, 6).",
        see="section 5.2",
    ),
    Answer(
        "b",
        "Adding 0 twice changes nothing, and there is no norm on the stream itself.",
        see="the drawing of 5.1",
    ),
    Answer(36_864, "One matrix from D to M and one back: 2 x 96 x 192.", see="section 5.2"),
    Answer(
        "c", "The upper index counts rows, and the class token is row 0.", see="equation 4 in 5.5"
    ),
)
