"""The recap of lesson 06, training: right answers, and why."""

from .answer import Answer

QUESTIONS = (
    Answer("b", "A model that knows nothing gives ln 100 = 4.6; 12.3 means sure and wrong (6.3)."),
    Answer("b", "Choices are made on the validation images; the test images are used once (6.2)."),
    Answer("c", "-ln(e / (e + 9)) = 1.46 is the least that two softmaxes in a row allow (6.4)."),
    Answer(50, "Images that both get right, or both get wrong, say nothing about which is better."),
    Answer("c", "Which images are wrong tells a step on the way from a broken run (6.7)."),
)
