"""The answers of lesson 02's recap."""

from .answer import Answer

QUESTIONS = (
    Answer(50, "because 7 x 7 patches of 32 pixels make 49 tokens, and the class token is one more"),
    Answer(
        "c",
        "because the batch size is built into the parameter: one token for each place in the "
        "batch, each trained on a 128th of the data",
    ),
    Answer("b", "because a place is marked by the vector that is added there, not by the index"),
    Answer("d", "because every shape fits; only the values say which token the logits depend on"),
    Answer(
        "b",
        "because every class token starts from the same vector, so all pairs are similar: the "
        "gap between same and different classes counts",
    ),
)
