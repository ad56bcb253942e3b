"""Scenes of several shapes: boxes, instances, overlap and order, all by value."""

import pytest
import torch

from vit_tutorial.data import SHAPES
from vit_tutorial.data.scenes import MOST, NO_OBJECT, SIDE, make_scenes, normalise


@pytest.fixture(scope="module")
def scenes():
    return make_scenes(400, seed=4)


def test_same_seed_same_scenes_and_another_seed_others(scenes):
    again, other = make_scenes(400, 4), make_scenes(400, 5)
    for name, part in vars(scenes).items():
        assert torch.equal(part, getattr(again, name))
    assert not torch.equal(scenes.images, other.images)


def test_the_first_scenes_do_not_depend_on_how_many_are_asked_for(scenes):
    fewer = make_scenes(100, 4)
    for name, part in vars(fewer).items():
        assert torch.equal(part, getattr(scenes, name)[:100])


def test_the_global_random_state_plays_no_part():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    make_scenes(20, 3)
    assert torch.equal(torch.rand(1), expected)


def test_shapes_and_dtypes(scenes):
    assert scenes.images.shape == (400, 3, SIDE, SIDE) and scenes.images.dtype == torch.uint8
    assert scenes.boxes.shape == (400, MOST, 4) and scenes.boxes.dtype == torch.float32
    assert scenes.labels.shape == (400, MOST) and scenes.labels.dtype == torch.int64
    assert scenes.instances.shape == (400, SIDE, SIDE) and scenes.instances.dtype == torch.uint8
    part = scenes[:7]
    assert len(part) == 7 and torch.equal(part.boxes, scenes.boxes[:7])
    inputs = normalise(scenes.images)
    assert inputs.dtype == torch.float32 and -1 <= inputs.min() < 0 < inputs.max() < 3


def test_there_are_one_to_five_objects_of_every_class_and_they_come_first(scenes):
    real = scenes.labels < NO_OBJECT
    number = real.sum(dim=1)
    assert sorted(set(number.tolist())) == [1, 2, 3, 4, 5]
    assert torch.equal(real, torch.arange(MOST) < number[:, None])
    share = torch.bincount(scenes.labels[real], minlength=len(SHAPES)) / real.sum()
    assert share.min() > 0.15
    assert (scenes.boxes[~real] == 0).all() and (scenes.boxes[real] > 0).all()


def test_a_box_surrounds_its_instance_as_tightly_as_pixels_allow(scenes):
    """What is seen lies inside, and with nothing in front the box is no more than a pixel wider."""
    tight = 0
    for labels, boxes, instances in zip(scenes.labels, scenes.boxes * SIDE, scenes.instances):
        alone = int((labels < NO_OBJECT).sum()) == 1
        for k in range(int((labels < NO_OBJECT).sum())):
            y, x = (instances == k + 1).nonzero().T + 0.5  # the middles of its pixels
            low, high = boxes[k, :2] - boxes[k, 2:] / 2, boxes[k, :2] + boxes[k, 2:] / 2
            assert low[0] <= x.min() and x.max() <= high[0]
            assert low[1] <= y.min() and y.max() <= high[1]
            if alone and SHAPES[labels[k]] != "triangle":  # its corners are thinner than a pixel
                gaps = x.min() - low[0], high[0] - x.max(), y.min() - low[1], high[1] - y.max()
                assert max(gaps) <= 1.3
                tight += 1
    assert tight > 30


def test_every_box_lies_in_the_image(scenes):
    low = scenes.boxes[..., :2] - scenes.boxes[..., 2:] / 2
    high = scenes.boxes[..., :2] + scenes.boxes[..., 2:] / 2
    assert low.min() >= 0 and high.max() < 1


def test_shapes_overlap_and_half_of_each_is_seen(scenes):
    """The area that is seen, over the area of the class in a box of that size."""
    of_box = {"disc": 0.785, "square": 1.0, "triangle": 0.5, "cross": 0.51, "ring": 0.589}
    least, hidden = 1.0, 0
    for labels, boxes, instances in zip(scenes.labels, scenes.boxes, scenes.instances):
        for k in range(int((labels < NO_OBJECT).sum())):
            whole = of_box[SHAPES[labels[k]]] * boxes[k, 2:].prod() * SIDE**2
            seen = float((instances == k + 1).sum() / whole)
            least, hidden = min(least, seen), hidden + (seen < 0.85)
    assert 0.4 < least < 0.6 and hidden > 50


def test_the_order_of_the_list_says_nothing(scenes):
    two = (scenes.labels < NO_OBJECT).sum(dim=1) >= 2
    first, second = scenes.boxes[two, 0], scenes.boxes[two, 1]
    for entry in range(4):
        share = (first[:, entry] < second[:, entry]).float().mean()
        assert 0.4 < share < 0.6
    seen = [(scenes.instances[two] == k).sum(dim=(1, 2)).float().mean() for k in (1, 2)]
    assert abs(seen[0] - seen[1]) < 0.15 * seen[0]  # nor is the first one in front


@pytest.mark.parametrize(("count", "seed", "said"), [(0, 0, "count is 0"), (5, -1, "seed is -1")])
def test_bad_numbers_are_refused(count, seed, said):
    with pytest.raises(ValueError, match=said):
        make_scenes(count, seed)
