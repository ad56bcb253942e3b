"""What keeps a run going on a real machine, so that training/ itself can be read in one sitting.

For a run to survive: checkpoint (one file, whole or not at all), checkpointer (when and where),
interrupt (Ctrl-C), run_state. To fit: memory and activations (how many images at once), precision
(bf16 or fp16). To be fast: compile_trial (torch.compile if it pays), processes (several GPUs). The
rest: fit, clock (minutes or steps), muon, ema, progress. This folder imports nothing from training/
except its settings.
"""
