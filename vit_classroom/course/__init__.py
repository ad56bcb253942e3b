"""Student copies of the lessons, the nbgrader course around them, and what of a submission runs."""
