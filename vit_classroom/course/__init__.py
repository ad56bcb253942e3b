"""A course: the student copies of the lessons, the nbgrader folder around them, and the plan of what is run of a submission."""
