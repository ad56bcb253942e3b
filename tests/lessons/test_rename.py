"""Renaming a lesson: files, head, headings, links, tables and lists follow; history does not."""

import nbformat
import pytest
import rename_lesson
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import notebooks as tool


@pytest.fixture
def repository(tmp_path):
    """A repository with two lessons, pages, tables and lists that name one of them."""
    for folder in (
        "notebooks/student", ".lessons", "docs/cards", "data/results", "tools", "tests",
        "vit_tutorial/checks/recaps",
    ):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
    path = tmp_path / "notebooks" / "06b_recipe.ipynb"
    cells = [
        new_markdown_cell(f"# 06b · A recipe\n\n{tool.badge(path)}"),
        new_code_cell(tool.setup_cell(path), metadata={"tags": list(tool.SETUP_TAGS)}),
        new_markdown_cell("## 6b.3 What costs 6.3 s\n\n**Exercise 6b.1 A step.** See section 6b.2"),
        new_code_cell('checks.check_recap("06b", answers)'),
    ]
    nb = new_notebook(cells=cells)
    for place in (path, tool.student_path(path)):
        nbformat.write(nb, place)
    tool.to_text(path, tmp_path / ".lessons" / "06b_recipe.py")
    other = "Next: [lesson 06b](06b_recipe.ipynb), or lesson 06 and 06b.\n\nLesson 06b.3 is long."
    nbformat.write(
        new_notebook(cells=[new_markdown_cell(other)]), tmp_path / "notebooks" / "06_training.ipynb"
    )
    for name, text in {
        "README.md": "|06b|[A recipe](notebooks/06b_recipe.ipynb)|",
        "CHANGELOG.md": "06b_recipe is new",
        "docs/teaching.md": "see [it](../notebooks/06b_recipe.ipynb)",
        "data/results/lesson_times.csv": "lesson,seconds\n06_training,1\n06b_recipe,2\n",
        "data/results/matrix.csv": "corner,target\nlowest,notebooks/06b_recipe.ipynb\n",
        "tools/lists.py": 'BUILDS = {"06b": 1, "06": 2}\n',
        "tests/lists.py": 'OLD = ("06b_recipe", "06_training")  # lesson 06b\n',
        "vit_tutorial/checks/recaps/lesson_06b.py": "QUESTIONS = ()\n",
        "docs/cards/06b.png": "",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_everything_that_names_the_lesson_follows(repository):
    left = rename_lesson.rename(repository, "06b", "17", "budget")
    names = {path.relative_to(repository).as_posix() for path in repository.rglob("*.*")}
    assert {
        "notebooks/17_budget.ipynb", "notebooks/student/17_budget.ipynb", ".lessons/17_budget.py",
        "vit_tutorial/checks/recaps/lesson_17.py", "docs/cards/17.png",
    } <= names  # fmt: skip
    assert [name for name in names if "06b" in name] == []
    read = lambda name: (repository / name).read_text(encoding="utf-8")
    assert read("README.md") == "|06b|[A recipe](notebooks/17_budget.ipynb)|"  # then made again
    assert read("docs/teaching.md") == "see [it](../notebooks/17_budget.ipynb)"
    assert read("data/results/lesson_times.csv").split() == [
        "lesson,seconds", "06_training,1", "17_budget,2",
    ]  # fmt: skip
    assert "notebooks/17_budget.ipynb" in read("data/results/matrix.csv")
    assert read("tools/lists.py") == 'BUILDS = {"17": 1, "06": 2}\n'
    assert read("tests/lists.py") == 'OLD = ("17_budget", "06_training")  # lesson 17\n'
    assert read("CHANGELOG.md") == "06b_recipe is new"
    assert len(left) == 2 and "lesson 06 and 06b" in left[0] and "Lesson 06b" in left[1]


@pytest.mark.parametrize("name", ["17_budget", "student/17_budget"])
def test_the_lesson_itself_has_its_new_number(repository, name):
    rename_lesson.rename(repository, "06b", "17", "budget")
    path = repository / "notebooks" / f"{name}.ipynb"
    first, setup, text, recap = nbformat.read(path, as_version=4).cells
    lesson = repository / "notebooks" / "17_budget.ipynb"
    assert first.source == f"# 17 · A recipe\n\n{tool.badge(lesson)}"
    assert setup.source == tool.setup_cell(lesson)
    assert text.source == ("## 17.3 What costs 6.3 s\n\n**Exercise 17.1 A step.** See section 17.2")
    assert recap.source == 'checks.check_recap("17", answers)'


def test_the_text_form_gives_the_same_lesson(repository):
    rename_lesson.rename(repository, "06b", "17")
    path = repository / "notebooks" / "17_recipe.ipynb"
    new = tool.from_text(repository / ".lessons" / "17_recipe.py", path)
    old = nbformat.read(path, as_version=4)
    assert [cell.source for cell in new.cells] == [cell.source for cell in old.cells]


def test_links_of_other_lessons_follow(repository):
    rename_lesson.rename(repository, "06b", "17")
    (cell,) = nbformat.read(repository / "notebooks" / "06_training.ipynb", as_version=4).cells
    assert cell.source.startswith("Next: [lesson 17](17_recipe.ipynb), or lesson 06 and 06b.")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("05", "17", "no lesson 05: there are 06, 06b"),
        ("06b", "06", "lesson 06 is there already"),
        ("06b", "6", "two digits"),
    ],
)
def test_numbers_that_cannot_be(repository, old, new, message):
    with pytest.raises(ValueError, match=message):
        rename_lesson.rename(repository, old, new)
