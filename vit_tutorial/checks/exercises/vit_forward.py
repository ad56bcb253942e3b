"""check_vit_forward: from images to logits, through the parts of a Vision Transformer."""

import torch
import torch.nn.functional as F

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes
from .inputs import random_module


def vit_forward(images, model):
    """Images (B, C, H, W) -> logits (B, classes): equations 1 to 4 of Dosovitskiy et al. 2021."""
    return model.head(model.norm(model.encoder(stem(images, model)))[:, 0])


def stem(images, model):
    """Images -> tokens (B, 1 + N, D): class token first, positions added."""
    x = model.patch_embedding(images)
    x = torch.cat([model.class_token.expand(len(x), -1, -1), x], dim=1)
    return model.dropout(model.position(x))


def vit_forward_cases(generator: torch.Generator) -> list[Case]:
    """Square and not, batch 1, several patch sides and depths, dropout in the config, float64."""

    def case(about, B, size, P, dtype=torch.float32, device="cpu", **changes):
        settings = {
            "image_size": size,
            "patch_size": P,
            "dim": 12,
            "depth": 2,
            "num_heads": 2,
            "mlp_dim": 16,
            "num_classes": 5,
        }
        model = random_module("VisionTransformer", generator, dtype, **settings | changes)
        images = numbers(generator, B, 3, *size, dtype=dtype)
        return Case(about, {"images": images, "model": model}, device=device)

    P = choice(generator, 2, 4)
    return [
        case("", 2, (2 * P, 2 * P), P),
        case("wide", 2, (P, 3 * P), P),
        case("batch of 1", 1, (3 * P, 2 * P), P),
        case("batch larger than the number of tokens", 7, (4, 4), 4, depth=1),
        case(
            "dropout 0.5 in the configuration, evaluation mode", 2, (2 * P, 2 * P), P, dropout=0.5
        ),
        case("float64", 2, (2 * P, P), P, torch.float64),
        case("another device", 2, (2 * P, 2 * P), P, device="meta"),
    ]


def always_dropping(rate):
    return lambda images, model: model.head(
        model.norm(model.encoder(F.dropout(stem(images, model), rate)))[:, 0]
    )


def added_too_early(e: Evidence) -> bool:
    """Every sum of N tokens and N + 1 positions is an error, where N > 1 (1 would be broadcast)."""
    errors = [actual.error or "" for case, actual, _ in e.compared() if patches(case) > 1]
    return all("must match the size" in error for error in errors)


def patches(case) -> int:
    settings = case.inputs["model"].settings
    return settings["image_size"][0] * settings["image_size"][1] // settings["patch_size"] ** 2


def depth(e: Evidence) -> int:
    return e.inputs["model"].settings["depth"]


def batch(e: Evidence) -> int:
    return len(e.inputs["images"])


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


def finished(tokens, model):
    return model.head(model.norm(tokens)[:, 0])


def read_by(read):
    """The right tokens, and read(normed tokens (B, 1 + N, D)) in place of those of the class."""
    return lambda images, model: model.head(read(model.norm(model.encoder(stem(images, model)))))


def with_blocks(order):
    """The blocks in another order: order(blocks) -> the blocks that are called."""

    def buggy(images, model):
        z = stem(images, model)
        for block in order(list(model.encoder.blocks)):
            z = block(z)
        return finished(z, model)

    return buggy


def class_token_added(images, model):
    x = model.patch_embedding(images) + model.class_token
    x = x + model.position.table[:, : x.shape[1]]
    return finished(model.encoder(x), model)


def without_class_token(images, model, first=0):
    x = model.patch_embedding(images)
    x = x + model.position.table[:, first : first + x.shape[1]]
    return finished(model.encoder(x), model)


def position_multiplied(images, model):
    z = joined(images, model, position=False)
    return finished(model.encoder(z * model.position.table), model)


def position_alone(images, model):
    z = joined(images, model, position=False)
    return finished(model.encoder(model.position(0 * z)), model)


def pooled_first(pool):
    """pool(tokens of the encoder) before the norm."""
    return lambda images, model: model.head(model.norm(pool(model.encoder(stem(images, model)))))


def class_token_without_position(images, model):
    z = joined(images, model, position=False)
    return finished(model.encoder(torch.cat([z[:, :1], model.position(z)[:, 1:]], dim=1)), model)


MISTAKES = (
    Mistake(
        name="whole_model_called",
        explanation=(
            "Your function calls the model itself. The exercise asks you to call its parts."
        ),
        hint=(
            "Which parts does the model have? print(model) lists them. In which order do images "
            "pass through them?"
        ),
        buggy=lambda images, model: model(images),
        detect=lambda e: all(
            "compose the model's parts" in (actual.error or "") for actual in e.with_values()
        ),
    ),
    Mistake(
        name="class_token_appended",
        explanation=(
            "The class token is last, so every token gets the wrong position, and row 0 is a patch."
        ),
        hint="In which order do you join the class token and the patches?",
        # One public tutorial says "first" in its table and appends in its code.
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(joined(images, model, last=True)))[:, 0]
        ),
    ),
    Mistake(
        name="appended_and_read_last",
        explanation=(
            "The class token is last and is read there. The positions were learned with it in "
            "front."
        ),
        hint="Whose position is row 0 of the table?",
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(joined(images, model, last=True)))[:, -1]
        ),
    ),
    Mistake(
        name="last_token_read",
        explanation="The head reads the last token, a patch. The class token is first.",
        hint="Which row of the encoder's output is the class token's?",
        # z[:, -1], as in language models
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(stem(images, model)))[:, -1]
        ),
    ),
    Mistake(
        name="first_patch_read",
        explanation="The head reads row 1, the first patch. The class token is row 0.",
        hint="Which row of the encoder's output is the class token's?",
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(stem(images, model)))[:, 1]
        ),
    ),
    Mistake(
        name="mean_of_all_tokens",
        explanation="The head reads the mean of all tokens. This model reads its class token.",
        hint="model.config.pool says what the head was trained on. What is it?",
        # global average pooling, the habit from CNNs
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(stem(images, model))).mean(dim=1)
        ),
        variants=(pooled_first(lambda z: z.mean(dim=1)),),
    ),
    Mistake(
        name="mean_of_patches",
        explanation=(
            "The head reads the mean of the patches, without the class token. This model reads "
            "its class token."
        ),
        hint="model.config.pool says what the head was trained on. What is it?",
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(stem(images, model)))[:, 1:].mean(dim=1)
        ),
        variants=(pooled_first(lambda z: z[:, 1:].mean(dim=1)),),
    ),
    Mistake(
        name="position_forgotten",
        explanation=(
            "No position was added: with these tokens the model cannot tell places apart."
        ),
        hint="Which of the model's parts does your code never call?",
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(joined(images, model, position=False)))[:, 0]
        ),
    ),
    Mistake(
        name="position_added_twice",
        explanation="The positions were added twice.",
        hint="model.position(tokens) returns the sum already. What does your line add to it?",
        # x = x + model.position(x)
        buggy=position_summed,
        variants=(
            lambda images, model: model.head(
                model.norm(model.encoder(model.position(stem(images, model))))[:, 0]
            ),
        ),
    ),
    Mistake(
        name="position_before_the_class_token",
        explanation=(
            "The positions were added before the class token: the table has one row more than "
            "there are tokens at that moment."
        ),
        hint="How many rows does the table have, and how many tokens are there when you add it?",
        # positions added to the patches, the class token joined afterwards
        buggy=position_first,
        detect=added_too_early,
    ),
    Mistake(
        name="rows_shifted",
        explanation=(
            "The patches got the first rows of the table, which begin with the class token's, "
            "and the class token got none."
        ),
        hint="Whose position is row 0 of the table? When is the class token put in front?",
        # position.table[:, :N], to make the shapes fit
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(shifted(images, model)))[:, 0]
        ),
    ),
    Mistake(
        name="last_norm_forgotten",
        explanation="The last LayerNorm is missing between the encoder and the head.",
        hint="Which of the model's parts does your code never call? Look at equation 4.",
        # The pre-norm block leaves its sums without a norm.
        buggy=lambda images, model: model.head(model.encoder(stem(images, model))[:, 0]),
    ),
    Mistake(
        name="norm_before_the_encoder",
        explanation="The last LayerNorm was applied before the encoder.",
        hint="Where does equation 4 put it?",
        buggy=lambda images, model: model.head(
            model.encoder(model.norm(stem(images, model)))[:, 0]
        ),
    ),
    Mistake(
        name="head_forgotten",
        explanation="What you return is the representation: the head is missing.",
        hint="How many numbers should come out for each image?",
        buggy=lambda images, model: model.norm(model.encoder(stem(images, model)))[:, 0],
    ),
    Mistake(
        name="softmax_on_logits",
        explanation="Your logits have been through softmax: each row adds to 1.",
        hint="What does F.cross_entropy expect, and what does it do itself?",
        # F.cross_entropy takes softmax a second time, and training is slow for no visible reason.
        buggy=lambda images, model: vit_forward(images, model).softmax(dim=-1),
    ),
    Mistake(
        name="encoder_forgotten",
        explanation="The tokens went to the head without passing through the encoder.",
        hint="Which of the model's parts does your code never call?",
        buggy=lambda images, model: model.head(model.norm(stem(images, model))[:, 0]),
    ),
    Mistake(
        name="one_block_only",
        explanation=lambda e: f"Only the first of {depth(e)} blocks was used.",
        hint="What is model.encoder, and what is model.encoder.blocks[0]?",
        buggy=lambda images, model: model.head(
            model.norm(model.encoder.blocks[0](stem(images, model)))[:, 0]
        ),
    ),
    Mistake(
        name="class_token_for_one_image",
        explanation=lambda e: (
            f"With a batch of 1 everything is right. Here there are {batch(e)} images, and the "
            "class token has a batch size of 1."
        ),
        hint=(
            "Joining along the tokens needs the same batch size in both parts. How does one "
            "token serve many images?"
        ),
        buggy=lambda images, model: model.head(
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
        detect=lambda e: (
            e.wrong_exactly_where(lambda case: len(case.inputs["images"]) != 1)
            and e.observation.error is not None
        ),
    ),
    Mistake(
        name="dropout_in_evaluation",
        explanation=(
            "Dropout was still on in evaluation mode: the same images give other logits at the "
            "next call."
        ),
        hint=(
            "model.dropout knows the model's mode. What does F.dropout do when you do not tell it?"
        ),
        # F.dropout(x, p) without training=self.training
        buggy=lambda images, model: model.head(
            model.norm(model.encoder(F.dropout(stem(images, model), model.config.dropout)))[:, 0]
        ),
        detect=lambda e: e.wrong_exactly_where(
            lambda case: case.inputs["model"].settings.get("dropout", 0) > 0
        ),
        # Every call starts from the same random state, so a rate written in the code can be tried.
        variants=tuple(always_dropping(rate) for rate in (0.1, 0.5)),
    ),
    Mistake(
        name="logits_of_all_tokens",
        explanation=(
            "The head was called on every token: your result has logits for each of them. The "
            "class token's are asked for."
        ),
        hint="Which row of the tokens should go to the head?",
        buggy=read_by(lambda z: z),
        variants=(
            lambda images, model: model.head(model.encoder(stem(images, model))),
            read_by(lambda z: z[:, 1:]),
        ),
    ),
    Mistake(
        name="first_image_taken_for_the_class_token",
        explanation=(
            "z[0] is image 0 with all its tokens. The class token of every image is z[:, 0]."
        ),
        hint="z has the axes (image, token, entry). Which of them should your index pick from?",
        buggy=lambda images, model: model.head(model.norm(model.encoder(stem(images, model))[0])),
        variants=(
            read_by(lambda z: z[0]),
            read_by(lambda z: z[0, 0]),
            read_by(lambda z: z[0, 0][None]),
            lambda images, model: model.head(model.encoder(stem(images, model))[0]),
        ),
    ),
    Mistake(
        name="summed_or_largest",
        explanation=(
            "The head reads the sum or the largest value over all tokens. This model reads its "
            "class token."
        ),
        hint="model.config.pool says what the head was trained on. What is it?",
        buggy=read_by(lambda z: z.sum(dim=1)),
        variants=(
            read_by(lambda z: z.amax(dim=1)),
            read_by(lambda z: z[:, 1:].sum(dim=1)),
            read_by(lambda z: z[:, 1:].amax(dim=1)),
        ),
    ),
    Mistake(
        name="class_token_added_to_the_patches",
        explanation="The class token was added to each patch. It should join them as a token.",
        hint="How many tokens should the encoder get for N patches?",
        buggy=class_token_added,
    ),
    Mistake(
        name="class_token_forgotten",
        explanation="There is no class token: the head reads the first patch.",
        hint="Which of the model's parts does your code never read?",
        buggy=without_class_token,
        variants=(lambda images, model: without_class_token(images, model, first=1),),
    ),
    Mistake(
        name="encoder_twice",
        explanation="The tokens went through the encoder twice.",
        hint="model.encoder holds all blocks. How often do you call it?",
        buggy=lambda images, model: finished(
            model.encoder(model.encoder(stem(images, model))), model
        ),
    ),
    Mistake(
        name="blocks_in_another_order",
        explanation="The blocks were not all called once, from the first one to the last.",
        hint="What does your loop over model.encoder.blocks start with, and where does it end?",
        buggy=with_blocks(lambda blocks: blocks[:-1]),
        variants=(
            with_blocks(lambda blocks: blocks[1:]),
            with_blocks(lambda blocks: blocks[::-1]),
            with_blocks(lambda blocks: [block for b in blocks for block in (b, b)]),
            with_blocks(lambda blocks: [blocks[0]] * len(blocks)),
        ),
    ),
    Mistake(
        name="norm_twice",
        explanation="The last LayerNorm was called twice; one of the two calls is in its place.",
        hint="Where does equation 4 put it? Which other place of your code calls it?",
        buggy=lambda images, model: finished(model.encoder(model.norm(stem(images, model))), model),
        variants=(
            lambda images, model: finished(model.norm(model.encoder(stem(images, model))), model),
        ),
    ),
    Mistake(
        name="position_multiplied",
        explanation="The tokens were multiplied by the table of positions. They should be added.",
        hint="What does model.position do with the tokens that it gets?",
        buggy=position_multiplied,
    ),
    Mistake(
        name="position_alone",
        explanation="The encoder got the positions alone: the tokens themselves are lost.",
        hint="What do you hand to the encoder: the table, or the sum?",
        # z = model.position.table, or z = model.position(zeros)
        buggy=position_alone,
    ),
    Mistake(
        name="class_token_without_position",
        explanation="The class token got no position; the patches have theirs.",
        hint="How many rows does the table have, and whose is row 0?",
        buggy=class_token_without_position,
    ),
)


check_vit_forward = Check(
    name="check_vit_forward",
    signature=(
        "fn(images (B, C, H, W), model) -> logits (B, classes), from the model's parts: "
        "patch_embedding, class_token (first), position, dropout, encoder, norm, head"
    ),
    cases=vit_forward_cases,
    reference=vit_forward,
    mistakes=MISTAKES + general_mistakes(vit_forward),
)
