"""Bring what was handed in back into the shape of the lesson, so that it can be graded."""
