"""The recap of lesson 07."""

from .answer import Answer

QUESTIONS = (
    Answer(
        "b",
        "Patches with other pixels have other keys, so even random layers read them differently.",
        see="section 7.1",
    ),
    Answer(0.125, "Half of it stays in each of three blocks: 1/2 x 1/2 x 1/2.", see="section 7.3"),
    Answer(
        "d",
        "A map of brightness wins the game without a model, so winning proves nothing.",
        see="section 7.4",
    ),
    Answer(
        "a", "Rollout uses only weights, and they are the same for all classes.", see="section 7.3"
    ),
    Answer("c", "The lens reads earlier tokens with the last norm and head.", see="section 7.9"),
)
