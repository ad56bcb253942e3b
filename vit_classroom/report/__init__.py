"""Marks in the grade book, a page of feedback for each learner, and a page for the teacher."""
