"""The answers of lesson 02's recap."""

from .answer import Answer

QUESTIONS = (
    Answer(
        50,
        "There are 7 x 7 = 49 patches of 32 pixels, and the class token is one more.",
        see="section 2.1",
    ),
    Answer(
        "c",
        "The batch size is built into the parameter: each place in the batch has its own token, "
        "trained on a 128th of the data.",
        see="section 2.2",
    ),
    Answer(
        "b",
        "A place is marked by the vector that is added there, not by its index.",
        see="section 2.3",
    ),
    Answer(
        "d",
        "Every shape fits. Only the values show which token the logits depend on.",
        see="section 2.5",
    ),
    Answer(
        "b",
        "Images of different classes may be just as similar. What counts is the gap between "
        "pairs of one class and pairs of different classes.",
        see="section 2.7",
    ),
)
