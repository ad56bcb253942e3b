"""A name for mistakes that no exercise lists, from what any function can do wrong.

Each looks at the evidence alone, and says only what holds in every case. Tried last, in the order
of how much they tell.
"""

from collections.abc import Callable

from ..engine.mistake import Evidence, Mistake
from . import as_if, effects, factors, in_cases, patterns, returned

NAMES = (  # that these modules give
    "list_returned",
    "tuple_returned",
    "array_returned",
    "truth_value_returned",
    "number_returned",
    "text_returned",
    "loop_not_run",
    "function_returned",
    "tensor_returned",
    "set_or_dict_returned",
    "less_precise",
    "axes_exchanged",
    "only_the_shape",
    "first_entry_alone",
    "last_entry_alone",
    "one_entry_for_all",
    "first_entry_missing",
    "last_entry_missing",
    "one_entry_too_many",
    "some_entries_missing",
    "result_reversed",
    "result_shifted",
    "every_entry_twice",
    "everything_twice",
    "axes_in_another_order",
    "moved_then_reshaped",
    "reshaped_then_moved",
    "numbers_in_other_places",
    "amounts_for_truth_values",
    "truth_values_counted",
    "truth_values_inverted",
    "one_axis_left",
    "true_values_missing",
    "true_values_too_many",
    "averaged_along_an_axis",
    "summed_along_an_axis",
    "reduced_along_an_axis",
    "one_number_of_all",
    "result_negated",
    "one_step_too_many",
    "result_sorted",
    "index_of_the_largest",
    "all_zero",
    "not_a_number",
    "all_the_same",
    "one_entry_wrong",
    "one_entry_right",
    "diagonal",
    "times_a_factor",
    "plus_a_number",
    "count_off_by_a_product",
    "inputs_exchanged",
    "one_input_for_another",
    "number_one_off",
    "number_scaled",
    "number_fixed",
    "one_number_for_another",
    "size_for_a_number",
    "pair_mixed_up",
    "input_not_used",
    "input_scaled",
    "input_altered",
    "input_moved",
    "entry_left_out",
    "input_transposed",
    "input_poured",
    "part_left_out",
    "parameter_not_used",
    "backward_stops",
    "gradient_lost_on_the_way",
    "writes_into_its_input",
    "draws_random_numbers",
)


def unlisted(
    e: Evidence, reference: Callable, observe_one: Callable, hidden: tuple[str, ...] = ()
) -> Mistake | None:
    """The mistake with the words for it, or None. observe_one(fn, case): what fn gives on a case.

    reference: the right function. hidden: inputs of a case that a function does not get.
    """
    return (
        returned.found(e)
        or returned.less_precise(e)
        or patterns.telling(e)
        or factors.found(e)
        or as_if.found(e, reference, observe_one, hidden)
        or patterns.vague(e)
        or effects.found(e)
        or in_cases.found(e)
    )
