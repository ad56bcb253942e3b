"""Sort what was handed in: archives opened safely, one notebook for each student and lesson."""
