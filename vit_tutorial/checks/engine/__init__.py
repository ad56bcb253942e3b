"""What all checks share: cases, observing, comparing, judging. It knows no exercise."""
