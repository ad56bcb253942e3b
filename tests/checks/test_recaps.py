"""The recaps: right, wrong and missing answers get a line each; a wrong answer raises nothing."""

import sys
import types

import pytest

from vit_tutorial import checks
from vit_tutorial.checks import recaps
from vit_tutorial.checks.recaps.answer import Answer

QUESTIONS = (
    Answer("b", "Attention ignores order.", see="section 2.3"),
    Answer(65, "64 patches and one class token.", see="section 2.1"),
    Answer(0.5, "Half of the pairs."),
)


@pytest.fixture(autouse=True)
def lesson(monkeypatch):
    module = types.ModuleType("vit_tutorial.checks.recaps.lesson_77")
    module.QUESTIONS = QUESTIONS
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(recaps, "lessons", lambda: ("77",))


def said(capsys, answers) -> list[str]:
    assert checks.check_recap("77", answers) is None
    return capsys.readouterr().out.splitlines()


def test_nothing_answered_is_one_line(capsys):
    line = "0 of 3 answered. Write your letters into `answers` and run the cell again."
    assert said(capsys, {1: None, 2: None, 3: None}) == [line]
    assert said(capsys, {}) == [line]


def test_right_answers_get_the_reason(capsys):
    assert said(capsys, {1: "B", 2: 65, 3: "50 %"}) == [
        "1 right. Attention ignores order.",
        "2 right. 64 patches and one class token.",
        "3 right. Half of the pairs.",
        "3 of 3 right.",
    ]


def test_wrong_answers_get_a_place_to_look_and_not_the_answer(capsys):
    lines = said(capsys, {1: "c", 2: 64, 3: None})
    assert lines == [
        "1 not yet: look at section 2.3 again.",
        "2 not yet: look at section 2.1 again.",
        "0 of 3 right, 1 not answered.",
    ]
    assert 'Write "?"' in said(capsys, {1: "c", 2: 64, 3: 0.1})[-1]


def test_a_question_mark_tells(capsys):
    lines = said(capsys, {2: "?"})
    assert lines == [
        "2 it is 65. 64 patches and one class token.",
        "0 of 3 right, 2 not answered.",
    ]


@pytest.mark.parametrize("given", ["b", "B", " b ", "b)", "(b)", "b."])
def test_letters_are_read_as_people_write_them(given):
    assert QUESTIONS[0].is_right(given)


@pytest.mark.parametrize(
    ("given", "right"),
    [(65, True), ("65", True), (65.0, True), (64, False), ("b", False), ((1, 2), False)],
)
def test_whole_numbers_must_be_met(given, right):
    assert QUESTIONS[1].is_right(given) is right


@pytest.mark.parametrize(
    ("given", "right"), [(0.5, True), (0.51, True), ("50%", True), ("0,5", False), (0.6, False)]
)
def test_other_numbers_may_be_five_percent_off(given, right):
    assert QUESTIONS[2].is_right(given) is right


@pytest.mark.parametrize("given", [50, "50", "50 %", "50%"])
def test_a_percent_sign_may_stand_or_not(given):
    assert Answer(50, "Half of the pairs.").is_right(given)
    assert not Answer(5, "One in twenty.").is_right(given)


def test_unknown_lessons_and_questions_are_named():
    with pytest.raises(ValueError, match="unknown lesson with a recap '78': .*'77'"):
        checks.check_recap("78", {})
    with pytest.raises(ValueError, match="no question 4: they are numbered 1 to 3"):
        checks.check_recap("77", {4: "a"})
    with pytest.raises(ValueError, match="answers is a list"):
        checks.check_recap("77", ["a"])


def test_every_recap_of_the_package_is_complete(monkeypatch):
    monkeypatch.undo()
    for lesson in recaps.lessons():
        found = recaps.questions(lesson)
        assert len(found) == 5, f"lesson {lesson} has {len(found)} answers"
        for answer in found:
            assert answer.is_right(answer.right) and answer.is_right(str(answer.right))
            assert answer.why.endswith(".") and answer.see, answer
            assert not isinstance(answer.right, str) or answer.right in "abcd", answer
