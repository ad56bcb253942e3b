"""The answers of lesson 03's recap."""

from .answer import Answer

QUESTIONS = (
    Answer("c", "because every part treats the tokens as a set, and only one token is read"),
    Answer(197, "because 14 x 14 patches make 196 tokens, and the class token has a row, too"),
    Answer(50, "because twins get the same answer, and it is right for exactly one of them"),
    Answer("b", "because a token that moves takes the vector that was added to it along"),
    Answer("d", "because the same numbers in other places show what the colours are worth alone"),
)
