"""The recap at the end of a lesson: five questions, whose answers stand here and not in the lesson.

One file for each lesson, lesson_02.py for lesson 02. It holds the answers in the order of the
questions, and nothing else:

    from .answer import Answer

    QUESTIONS = (
        Answer("b", "Attention ignores order, so any row could be read.", see="section 2.3"),
        Answer(65, "64 patches and one class token.", see="section 2.1"),
    )
"""

import importlib
import pkgutil
import textwrap
from collections.abc import Mapping

from ...common.validation import require_choice
from .answer import Answer

WIDTH = 88  # columns of a page


def lessons() -> tuple[str, ...]:
    """The numbers of the lessons that have a recap."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name[7:] for name in found if name.startswith("lesson_")))


def questions(lesson: str) -> tuple[Answer, ...]:
    """The answers to the questions of a lesson ("02"). Raises ValueError for an unknown one."""
    require_choice("lesson with a recap", lesson, lessons())
    return importlib.import_module(f".lesson_{lesson}", package=__name__).QUESTIONS


def check_recap(lesson: str, answers: Mapping) -> None:
    """Print what is right, and for a wrong answer where to look again; nothing is raised for it.

    lesson: its number, such as "02". answers: {number of the question: letter or number}; None for
        a question that is not answered yet, "?" to be told.
    Raises ValueError for an unknown lesson or question.
    """
    asked = questions(lesson)
    numbers = tuple(range(1, len(asked) + 1))
    if not isinstance(answers, Mapping):
        raise ValueError(
            f"answers is a {type(answers).__name__}: give a dict such as {{1: 'b', 2: None}}"
        )
    if unknown := [number for number in answers if number not in numbers]:
        raise ValueError(
            f"lesson {lesson} has no question {unknown[0]!r}: they are numbered 1 to {len(asked)}"
        )
    given = {n: a for n, a in sorted(answers.items()) if a not in (None, ..., "")}
    if not given:
        print(
            f"0 of {len(asked)} answered. Write your letters into `answers` and run the cell again."
        )
        return
    for number, answer in given.items():
        reply = f"{number} {asked[number - 1].reply(answer)}"
        print(textwrap.fill(reply, WIDTH, subsequent_indent="  "))
    right = sum(asked[n - 1].is_right(a) for n, a in given.items())
    line = f"{right} of {len(asked)} right"
    if len(given) < len(asked):
        line += f", {len(asked) - len(given)} not answered"
    elif right < len(asked) and "?" not in given.values():
        line += '. Write "?" for an answer that you would like to be told'
    print(f"{line}.")
