"""The package's own functions that are the answer to an exercise: {check: their places}.

In the sandbox their text is not there (package.py). They work all the same, because lessons need
them, but not while a learner's function is observed by that check (observing.py).
"""

OWN_SOLUTIONS = {
    "check_patchify": ("vit_tutorial.model.patches:patchify", "vit_tutorial.model.plain_vit:cut"),
    "check_unpatchify": ("vit_tutorial.model.patches:unpatchify",),
    "check_attention": ("vit_tutorial.model.attention:attention",),
    "check_multi_head": ("vit_tutorial.model.attention:MultiHeadSelfAttention.forward",),
    "check_encoder_block": ("vit_tutorial.model.encoder:EncoderBlock.forward",),
    "check_sincos_2d": ("vit_tutorial.model.positions:sinusoidal_2d",),
    "check_warmup_cosine": ("vit_tutorial.training.schedule:learning_rate",),
    "check_evaluate": ("vit_tutorial.training.evaluation:evaluate",),
    "check_neighbour_mean": ("vit_tutorial.relatives.masked_autoencoder:neighbour_mean",),
    "check_neighbour_cosine": ("vit_tutorial.inspection.similarity:neighbour_cosine",),
}
