"""check_tokens_read, check_equivariant, check_add_rows: each mistake named, each style accepted."""

import pytest
import torch
from checks_common import is_accepted, is_named, mistake_id, mistakes, verdict
from corpus import entries

READ, ORDER, ROWS = "check_tokens_read", "check_equivariant", "check_add_rows"
ALL = [*mistakes(READ), *mistakes(ORDER), *mistakes(ROWS)]
RIGHT = [entry for name in (READ, ORDER, ROWS) for entry in entries(name, "right")]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


@pytest.mark.parametrize("entry", RIGHT, ids=lambda entry: entry.id)
def test_each_style_is_accepted(entry):
    is_accepted(entry.check, entry.fn)


def test_the_last_rows_are_called_the_last_rows():
    """The rows behind are unrelated to the first ones, so no factor explains them."""
    found = verdict(ROWS, lambda tokens, table: tokens + table[:, -tokens.shape[1] :])
    assert found.mistake == "last_rows"
    assert "takes the last rows" in found.message and " × " not in found.message


def test_the_row_that_token_0_got_is_the_right_number():
    def last(tokens, table):
        sizes.append((tokens.shape[1], table.shape[1]))
        return tokens + table[:, -tokens.shape[1] :]

    sizes = []
    message = verdict(ROWS, last).message
    T, L = sizes[0]
    assert f"Token 0 got row {L - T} of the table" in message


def test_whole_table_shows_both_shapes():
    message = verdict(ROWS, lambda tokens, table: tokens + table).message
    assert "Where the table is as long as the sequence, everything is right" in message
    assert "The size of tensor a" in message  # torch's own words stay


def test_a_solution_for_tables_of_the_same_length_does_not_pass():
    assert not verdict(ROWS, lambda tokens, position: tokens + position).passed


@pytest.mark.parametrize("change", ["plus one", "doubled"])
def test_a_change_that_layer_norm_undoes_is_named(change):
    def fn(read_out, z):
        found = []
        for t in range(z.shape[1]):
            x = z.clone()
            x[:, t] = x[:, t] + 1 if change == "plus one" else 2 * x[:, t]
            found.append(not torch.allclose(read_out(x), read_out(z), rtol=1e-3, atol=1e-4))
        return found

    found = verdict(READ, fn)
    assert found.mistake == "nothing_read" and "LayerNorm" in found.message


def test_one_truth_value_for_all_tokens_is_no_answer():
    found = verdict(READ, lambda read_out, z: True)
    assert not found.passed and "T booleans" in found.message


def test_a_number_is_no_truth_value():
    found = verdict(ORDER, lambda f, tokens: 1.0)
    assert not found.passed and "must be a truth value" in found.message
