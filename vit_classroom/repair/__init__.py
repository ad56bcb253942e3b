"""Repair: what was handed in, brought back into the shape of the lesson, so that it can be graded."""
