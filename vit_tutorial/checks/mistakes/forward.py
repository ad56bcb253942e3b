"""Known mistakes in putting a Vision Transformer together."""

import torch
import torch.nn.functional as F

from ..check import Evidence, Mistake


def vit_forward(images, model):
    """Images (B, C, H, W) -> logits (B, classes); class token first, read out behind the last norm (equations 1 to 4)."""
    return model.head(model.norm(model.encoder(stem(images, model)))[:, 0])


def stem(images, model):
    x = model.patch_embedding(images)
    return model.dropout(
        model.position(torch.cat([model.class_token.expand(len(x), -1, -1), x], dim=1))
    )


def vit_forward_mistakes() -> tuple[Mistake, ...]:
    """For fn(images, model) -> logits."""
    return (
        Mistake(
            "whole_model_called",
            "Your function calls the model itself. Asked for is the way through its parts.",
            "Which parts has the model? print(model) lists them; in which order do images pass through them?",
            "the shortest answer",
            lambda images, model: model(images),
            lambda e: all("compose the model's parts" in (seen.error or "") for seen in plain(e)),
        ),
        Mistake(
            "class_token_appended",
            "The class token stands last, so every position meets the wrong token, and row 0 is a patch.",
            "In which order do you join the class token and the patches?",
            "source 000: its table says first, its code appends",
            lambda images, model: model.head(
                model.norm(model.encoder(joined(images, model, last=True)))[:, 0]
            ),
        ),
        Mistake(
            "appended_and_read_last",
            "The class token stands last and is read there; the positions were learned with it in front.",
            "Whose position is row 0 of the table?",
            "source 000, with a head that was made to fit",
            lambda images, model: model.head(
                model.norm(model.encoder(joined(images, model, last=True)))[:, -1]
            ),
        ),
        Mistake(
            "last_token_read",
            "The head reads the last token, a patch. The class token stands first.",
            "Which row of the encoder's output is the class token's?",
            "z[:, -1], as in language models",
            lambda images, model: model.head(model.norm(model.encoder(stem(images, model)))[:, -1]),
        ),
        Mistake(
            "first_patch_read",
            "The head reads row 1, the first patch. The class token is row 0.",
            "Which row of the encoder's output is the class token's?",
            "first drafts",
            lambda images, model: model.head(model.norm(model.encoder(stem(images, model)))[:, 1]),
        ),
        Mistake(
            "mean_of_all_tokens",
            "The head reads the mean of all tokens. This model reads its class token.",
            "model.config.pool says what the head was trained on. What is it?",
            "global average pooling, the habit from CNNs",
            lambda images, model: model.head(
                model.norm(model.encoder(stem(images, model))).mean(dim=1)
            ),
        ),
        Mistake(
            "mean_of_patches",
            "The head reads the mean of the patches, without the class token. This model reads its class token.",
            "model.config.pool says what the head was trained on. What is it?",
            "models with mean pooling",
            lambda images, model: model.head(
                model.norm(model.encoder(stem(images, model)))[:, 1:].mean(dim=1)
            ),
        ),
        Mistake(
            "position_forgotten",
            "No position was added: with these tokens the model cannot tell places apart.",
            "Which of the model's parts does your code never call?",
            "first drafts",
            lambda images, model: model.head(
                model.norm(model.encoder(joined(images, model, position=False)))[:, 0]
            ),
        ),
        Mistake(
            "position_added_twice",
            "The positions were added twice.",
            "model.position(tokens) returns the sum already. What does your line add to it?",
            "x = x + model.position(x)",
            position_summed,
            also=(
                lambda images, model: model.head(
                    model.norm(model.encoder(model.position(stem(images, model))))[:, 0]
                ),
            ),
        ),
        Mistake(
            "position_before_the_class_token",
            "Positions were added before the class token had joined: the table has one row more than there are tokens by then.",
            "How many rows has the table, and how many tokens are there at the moment when you add it?",
            "source 003 adds positions to the patches and joins the token afterwards",
            position_first,
            added_too_early,
        ),
        Mistake(
            "rows_shifted",
            "The patches got the first rows of the table, which begin with the class token's, and the class token got none.",
            "Whose position is row 0 of the table? When does the class token join?",
            "first drafts: position.table[:, :N], to make the shapes fit",
            lambda images, model: model.head(
                model.norm(model.encoder(shifted(images, model)))[:, 0]
            ),
        ),
        Mistake(
            "last_norm_forgotten",
            "The last LayerNorm is missing between the encoder and the head.",
            "Which of the model's parts does your code never call? Look at equation 4.",
            "first drafts; the pre-norm block leaves its sums without a norm",
            lambda images, model: model.head(model.encoder(stem(images, model))[:, 0]),
        ),
        Mistake(
            "norm_before_the_encoder",
            "The last LayerNorm was applied in front of the encoder.",
            "Where does equation 4 put it?",
            "first drafts",
            lambda images, model: model.head(model.encoder(model.norm(stem(images, model)))[:, 0]),
        ),
        Mistake(
            "head_forgotten",
            "What you return is the representation: the head is missing.",
            "How many numbers should come out for each image?",
            "first drafts",
            lambda images, model: model.norm(model.encoder(stem(images, model)))[:, 0],
        ),
        Mistake(
            "softmax_on_logits",
            "Your logits have been through softmax: each row adds to 1.",
            "What does F.cross_entropy expect, and what does it do itself?",
            "first drafts; F.cross_entropy then takes softmax a second time, and training is slow for no visible reason",
            lambda images, model: vit_forward(images, model).softmax(dim=-1),
        ),
        Mistake(
            "encoder_forgotten",
            "The tokens went to the head without passing the encoder.",
            "Which of the model's parts does your code never call?",
            "first drafts",
            lambda images, model: model.head(model.norm(stem(images, model))[:, 0]),
        ),
        Mistake(
            "one_block_only",
            lambda e: f"Only the first of {depth(e)} blocks was used.",
            "What is model.encoder, and what is model.encoder.blocks[0]?",
            "first drafts",
            lambda images, model: model.head(
                model.norm(model.encoder.blocks[0](stem(images, model)))[:, 0]
            ),
        ),
        Mistake(
            "class_token_for_one_image",
            lambda e: (
                f"With a batch of 1 all is right. Here are {batch(e)} images, and the class token is made for 1."
            ),
            "Joining along the tokens needs the same batch size in both parts. How does one token serve many images?",
            "first drafts that were tried on a single image",
            lambda images, model: model.head(
                model.norm(
                    model.encoder(
                        model.dropout(
                            model.position(
                                torch.cat([model.class_token, model.patch_embedding(images)], dim=1)
                            )
                        )
                    )
                )[:, 0]
            ),
            lambda e: (
                e.wrong_exactly_where(lambda case: len(case.inputs["images"]) != 1)
                and e.seen[e.first_wrong()].error is not None
            ),
        ),
        Mistake(
            "dropout_in_evaluation",
            "In evaluation mode dropout was still at work: the same images give other logits at the next call.",
            "model.dropout knows the model's mode. What does F.dropout do when you do not tell it?",
            "F.dropout(x, p) without training=self.training",
            lambda images, model: model.head(
                model.norm(model.encoder(F.dropout(stem(images, model), model.config.dropout)))[
                    :, 0
                ]
            ),
            lambda e: e.wrong_exactly_where(
                lambda case: case.inputs["model"].settings.get("dropout", 0) > 0
            ),
            # Every call starts from the same random state, so a share that stands in the code can be tried.
            also=tuple(always_dropping(share) for share in (0.1, 0.5)),
        ),
    )


def always_dropping(share):
    return lambda images, model: model.head(
        model.norm(model.encoder(F.dropout(stem(images, model), share)))[:, 0]
    )


def plain(e: Evidence) -> list:
    return [seen for case, seen in zip(e.cases, e.seen) if case.device != "meta"]


def added_too_early(e: Evidence) -> bool:
    """Every sum of N tokens and N + 1 positions is an error; a single patch alone would be broadcast."""
    errors = [
        seen.error or ""
        for case, seen in zip(e.cases, e.seen)
        if patches(case) > 1 and case.device != "meta"
    ]
    return all("must match the size" in error for error in errors)


def patches(case) -> int:
    settings = case.inputs["model"].settings
    return settings["image_size"][0] * settings["image_size"][1] // settings["patch_size"] ** 2


def depth(e: Evidence) -> int:
    return e.cases[e.first_wrong()].inputs["model"].settings["depth"]


def batch(e: Evidence) -> int:
    return len(e.cases[e.first_wrong()].inputs["images"])


def joined(images, model, last=False, position=True):
    x = model.patch_embedding(images)
    token = model.class_token.expand(len(x), -1, -1)
    x = torch.cat([x, token] if last else [token, x], dim=1)
    return model.position(x) if position else x


def shifted(images, model):
    """The patches get the first N rows of the table, and the token joins without one."""
    x = model.patch_embedding(images)
    x = x + model.position.table[:, : x.shape[1]]
    return torch.cat([model.class_token.expand(len(x), -1, -1), x], dim=1)


def position_first(images, model):
    x = model.position(model.patch_embedding(images))
    x = torch.cat([model.class_token.expand(len(x), -1, -1), x], dim=1)
    return model.head(model.norm(model.encoder(x))[:, 0])


def position_summed(images, model):
    z = joined(images, model, position=False)
    return model.head(model.norm(model.encoder(z + model.position(z)))[:, 0])
