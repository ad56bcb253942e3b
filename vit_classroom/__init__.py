"""Teaching a class: student copies, a course, collecting, grading in isolation, reports. `python -m vit_classroom`."""
