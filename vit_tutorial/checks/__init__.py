"""Try a learner's function, and name the mistake.

Each check_... takes the function, prints one line when it passes, and raises CheckFailed with `.mistake` and a hint when not.
A function that changes the random state, the default dtype or the like leaves no trace on the next check.
"""

from .catalogue import names
from .failure import CheckFailed, Verdict
from .grading import judge_file, observe_file, write_cases
from .guess import check_guess
from .public import (
    check_add_position,
    check_attention,
    check_encoder_block,
    check_evaluate,
    check_linear_to_conv,
    check_multi_head,
    check_patchify,
    check_prepend_class_token,
    check_sincos_2d,
    check_unpatchify,
    check_vit_forward,
    check_warmup_cosine,
)
