"""Teach a class: make a course, collect submissions, grade them in isolation, report."""
