"""What keeps a run going on a real machine, so that training/ itself can be read in one sitting.

A run survives: checkpoint (one file, whole or not at all), checkpointer (when and where), interrupt
(Ctrl-C), random_state. A run fits: memory and activations (how many images at once), precision
(bf16 or fp16). A run is fast: compile_trial (torch.compile if it pays), processes (several GPUs),
clock (minutes or steps). And muon, ema, progress. Nothing in this folder imports from training/
except its settings.
"""
