"""The answers to the recap of lesson 06, training."""

from .answer import Answer

QUESTIONS = (
    Answer(
        "b",
        "A model that knows nothing starts at ln 100 = 4.6; 12.3 means confident and wrong.",
        see="section 6.3",
    ),
    Answer(
        "b",
        "Every choice is made on the validation images; the test images are used once.",
        see="section 6.2",
    ),
    Answer(
        "c", "With two softmaxes the loss cannot fall below -ln(e / (e + 9)) = 1.46.", "section 6.4"
    ),
    Answer(50, "Only the 30 + 20 images on which the two models disagree count.", "section 6.8"),
    Answer(
        "c",
        "Which images are wrong distinguishes a stage of learning from a broken run.",
        see="section 6.7",
    ),
)
