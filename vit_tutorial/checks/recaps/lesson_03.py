"""The answers of lesson 03's recap."""

from .answer import Answer

QUESTIONS = (
    Answer(
        "c",
        "Every part treats the tokens as a set, and only one token is read.",
        see="section 3.2",
    ),
    Answer(
        197,
        "There are 14 x 14 = 196 patch tokens, and the class token has a row as well.",
        see="section 3.4",
    ),
    Answer(
        50,
        "Twins get the same answer, and it is right for exactly one of them.",
        see="section 3.6",
    ),
    Answer(
        "b",
        "A token that moves takes its position vector with it.",
        see="section 3.3",
    ),
    Answer(
        "d",
        "The same numbers in other places show how little the colours alone mean.",
        see="section 3.8",
    ),
)
