"""Lessons that do not hold every rule yet, by name. A lesson that does must leave its list: a test
fails until it has. An empty list stays empty."""

# Longer than one sitting, or with an older header.
NOT_REWRITTEN = (
    "02_class_token",
    "03_position_embeddings",
    "04_attention",
    "05_encoder_and_vit",
    "06_training",
    "06b_recipe",
    "08_position_ablation",
)
# Core lessons that do not draw the architecture, so that they have no card.
NO_CARD = (
    "02_class_token",
    "03_position_embeddings",
    "04_attention",
    "05_encoder_and_vit",
    "06_training",
)
# The solution of one exercise passes the check of another.
SOLUTIONS_PASS_ELSEWHERE = (
    "02_class_token",
    "03_position_embeddings",
    "04_attention",
    "05_encoder_and_vit",
    "06_training",
)
