"""What every other folder of this package uses: checks of numbers and names, files written whole,
the machine."""
