"""Collecting: archives unpacked safely, students named, one notebook for each student and lesson."""
