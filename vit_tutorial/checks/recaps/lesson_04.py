"""The recap of lesson 04."""

from .answer import Answer

QUESTIONS = (
    Answer("b", "The output is the weighted average of the values.", see="section 4.4"),
    Answer(8.0, "A head has 192 / 3 = 64 entries, and the root of 64 is 8.", see="section 4.7"),
    Answer(4225, "Each of 65 tokens reads 65 tokens: 65 x 65 weights.", see="section 4.4"),
    Answer("c", "With one layer, score(i, j) = score(j, i).", see="section 4.6"),
    Answer(
        "c", "The head axis comes before the token axis: a row mixes tokens.", see="section 4.7"
    ),
)
