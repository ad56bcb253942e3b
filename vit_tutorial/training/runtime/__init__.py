"""What keeps a run going: checkpoints, interrupts, the clock, several processes, precision, memory, torch.compile, EMA."""
