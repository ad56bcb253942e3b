"""What every other folder of this package uses: checks of numbers and names, atomic file writing,
and the machine."""
