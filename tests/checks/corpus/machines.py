"""A batch in parts, and the state of a run."""

import copy
import pickle

import torch
import torch.nn as nn
import torch.nn.functional as F

from . import known, right, two, unknown

PARTS, STATE = "check_accumulate", "check_checkpoint"


# A batch in parts, one mistake.


@known(PARTS, "mean_over_parts")
def parts_mean(model, images, labels, size):
    model.zero_grad()
    chunks = list(zip(images.split(size), labels.split(size)))
    total = 0.0
    for x, y in chunks:
        loss = F.cross_entropy(model(x), y) / len(chunks)
        loss.backward()
        total += loss.item()
    return total


@known(PARTS, "mean_over_parts")
def parts_mean_by_range(model, images, labels, size):
    model.zero_grad()
    steps = (len(images) + size - 1) // size
    criterion = nn.CrossEntropyLoss()
    running = 0.0
    for i in range(steps):
        loss = criterion(
            model(images[i * size : (i + 1) * size]), labels[i * size : (i + 1) * size]
        )
        (loss / steps).backward()
        running += loss.item() / steps
    return running


@known(PARTS, "old_gradient_kept")
def parts_no_zero(model, images, labels, size):
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y) * (len(y) / len(labels))
        loss.backward()
        total += loss.item()
    return total


@known(PARTS, "zeroed_in_the_loop")
def parts_zero_inside(model, images, labels, size):
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        model.zero_grad()
        loss = F.cross_entropy(model(x), y, reduction="sum") / len(images)
        loss.backward()
        total += loss.item()
    return total


@known(PARTS, "nothing_divided")
def parts_plain(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        total += loss.item()
    return total


@known(PARTS, "nothing_divided")
def parts_plain_mean_returned(model, images, labels, size):
    model.zero_grad()
    losses = []
    for x, y in zip(images.split(size), labels.split(size)):
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@known(PARTS, "sum_over_images")
def parts_sum(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for start in range(0, len(images), size):
        out = model(images[start : start + size])
        loss = F.cross_entropy(out, labels[start : start + size], reduction="sum")
        loss.backward()
        total += loss.item()
    return total


@known(PARTS, "divided_by_size")
def parts_by_size(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y, reduction="sum") / size
        loss.backward()
        total += loss.item()
    return total


@known(PARTS, "one_backward")
def parts_one_backward(model, images, labels, size):
    model.zero_grad()
    loss = 0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = loss + F.cross_entropy(model(x), y, reduction="sum")
    loss = loss / len(images)
    loss.backward()
    return loss.item()


@known(PARTS, "one_backward")
def parts_list_of_losses(model, images, labels, size):
    model.zero_grad()
    losses = [
        F.cross_entropy(model(x), y, reduction="none")
        for x, y in zip(images.split(size), labels.split(size))
    ]
    loss = torch.cat(losses).mean()
    loss.backward()
    return loss.item()


@known(PARTS, "whole_batch_at_once")
def parts_whole(model, images, labels, size):
    model.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss.item()


@known(PARTS, "no_gradient")
def parts_no_backward(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        total += F.cross_entropy(model(x), y).item() * len(x) / len(images)
    return total


@known(PARTS, "wrong_loss")
def parts_last_loss(model, images, labels, size):
    model.zero_grad()
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y) * len(x) / len(images)
        loss.backward()
    return loss.item()


@known(PARTS, "wrong_loss")
def parts_mean_of_means(model, images, labels, size):
    model.zero_grad()
    losses = []
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y)
        (loss * len(x) / len(images)).backward()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@known(PARTS, "not_written")
def parts_not_written(model, images, labels, size):
    raise NotImplementedError


@known(PARTS, "nothing_returned")
def parts_nothing(model, images, labels, size):
    model.zero_grad()
    for x, y in zip(images.split(size), labels.split(size)):
        (F.cross_entropy(model(x), y) * len(x) / len(images)).backward()


# A batch in parts, mistakes of no name.


@unknown(PARTS)
def parts_mse(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        out = model(x)
        target = F.one_hot(labels, out.shape[1]).to(out.dtype)[: len(y)]
        loss = F.mse_loss(out, target) * len(x) / len(images)
        loss.backward()
        total += loss.item()
    return total


@unknown(PARTS)
def parts_smoothed(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1) * len(x) / len(images)
        loss.backward()
        total += loss.item()
    return total


@unknown(PARTS)
def parts_twice(model, images, labels, size):
    model.zero_grad()
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y) * len(x) / len(images)
        loss.backward(retain_graph=True)
        loss.backward()
        total += loss.item()
    return total


# A batch in parts, two at once.


@two(PARTS, "old_gradient_kept", "nothing_divided")
def parts_two_plain(model, images, labels, size):
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        total += loss.item()
    return total


@two(PARTS, "mean_over_parts", "wrong_loss")
def parts_two_last(model, images, labels, size):
    model.zero_grad()
    chunks = list(zip(images.split(size), labels.split(size)))
    for x, y in chunks:
        loss = F.cross_entropy(model(x), y) / len(chunks)
        loss.backward()
    return loss.item()


@two(PARTS, "whole_batch_at_once", "old_gradient_kept")
def parts_two_whole(model, images, labels, size):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss.item()


# A batch in parts, right.


@right(PARTS)
def parts_chunks(model, images, labels, size):
    model.zero_grad(set_to_none=True)
    total = 0.0
    for start in range(0, images.size(0), size):
        x, y = images[start : start + size], labels[start : start + size]
        loss = F.cross_entropy(model(x), y) * (x.size(0) / images.size(0))
        loss.backward()
        total += loss.item()
    return float(total)


@right(PARTS)
def parts_weights(model, images, labels, size):
    for p in model.parameters():
        if p.grad is not None:
            p.grad.zero_()
    losses, weights = [], []
    for x, y in zip(images.split(size), labels.split(size)):
        weights.append(len(y) / len(labels))
        loss = F.cross_entropy(model(x), y)
        (weights[-1] * loss).backward()
        losses.append(loss.item())
    return sum(w * loss for w, loss in zip(weights, losses))


@right(PARTS)
def parts_autograd(model, images, labels, size):
    parameters = list(model.parameters())
    sums = [torch.zeros_like(p) for p in parameters]
    total = 0.0
    for x, y in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(x), y, reduction="sum") / len(images)
        for s, g in zip(sums, torch.autograd.grad(loss, parameters)):
            s += g
        total += loss.item()
    for p, s in zip(parameters, sums):
        p.grad = s
    return total


@right(PARTS)
def parts_tensor_returned(model, images, labels, size):
    model.zero_grad()
    total = torch.zeros(())
    for i in range(-(-len(images) // size)):
        part = slice(i * size, (i + 1) * size)
        loss = F.cross_entropy(model(images[part]), labels[part], reduction="sum") / len(images)
        loss.backward()
        total = total + loss.detach()
    return total


@right(PARTS)
def parts_with_an_optimizer(model, images, labels, size):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    total = 0
    for x, y in zip(torch.split(images, size), torch.split(labels, size)):
        loss = F.cross_entropy(model(x), y) / len(images) * len(y)
        loss.backward()
        total += loss.item()
    return total


# The state of a run, one mistake.


@known(STATE, "not_copied")
def state_live(model, optimizer, generator):
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
    }


@known(STATE, "not_copied")
def state_shallow(model, optimizer, generator):
    return {
        "model": dict(model.state_dict()),
        "optimizer": dict(optimizer.state_dict()),
        "generator": generator.get_state(),
    }


@known(STATE, "not_copied")
def state_copy_copy(model, optimizer, generator):
    saved = dict(model=copy.copy(model.state_dict()), generator=generator.get_state())
    saved["optimizer"] = copy.deepcopy(optimizer.state_dict())
    return saved


@known(STATE, "not_copied")
def state_detached(model, optimizer, generator):
    weights = {name: p.detach() for name, p in model.named_parameters()}
    return {
        "model": weights,
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "generator": generator.get_state().clone(),
    }


@known(STATE, "not_copied")
def state_optimizer_live(model, optimizer, generator):
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return {
        "model": weights,
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
    }


@known(STATE, "optimizer_forgotten")
def state_no_optimizer(model, optimizer, generator):
    return {"model": copy.deepcopy(model.state_dict()), "generator": generator.get_state()}


@known(STATE, "generator_forgotten")
def state_no_generator(model, optimizer, generator):
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


@known(STATE, "generator_forgotten")
def state_seed(model, optimizer, generator):
    saved = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    again = torch.Generator()
    again.manual_seed(generator.initial_seed())
    saved["generator"] = again.get_state()
    return saved


@known(STATE, "weights_only")
def state_weights(model, optimizer, generator):
    return {"model": {name: w.clone() for name, w in model.state_dict().items()}}


@known(STATE, "model_forgotten")
def state_other_name(model, optimizer, generator):
    saved = copy.deepcopy({"weights": model.state_dict(), "optimizer": optimizer.state_dict()})
    return saved | {"generator": generator.get_state()}


@known(STATE, "rounded")
def state_half(model, optimizer, generator):
    weights = {name: value.half() for name, value in model.state_dict().items()}
    saved = {"optimizer": copy.deepcopy(optimizer.state_dict())}
    return saved | {"model": weights, "generator": generator.get_state()}


@known(STATE, "not_a_state")
def state_objects(model, optimizer, generator):
    return {"model": copy.deepcopy(model), "optimizer": optimizer, "generator": generator}


@known(STATE, "not_a_state")
def state_generator_itself(model, optimizer, generator):
    saved = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    return saved | {"generator": generator.initial_seed()}


@known(STATE, "not_written")
def state_not_written(model, optimizer, generator):
    raise NotImplementedError("to do")


@known(STATE, "nothing_returned")
def state_nothing(model, optimizer, generator):
    saved = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    saved["generator"] = generator.get_state()


# The state of a run, mistakes of no name.


@unknown(STATE)
def state_tuple(model, optimizer, generator):
    states = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    return (*states, generator.get_state())


@unknown(STATE)
def state_draws(model, optimizer, generator):
    torch.rand(3, generator=generator)  # the run itself goes on with other numbers
    saved = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    torch.rand(3, generator=generator)
    return saved | {"generator": generator.get_state()}


@unknown(STATE)
def state_reset_moments(model, optimizer, generator):
    saved = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    for entry in saved["optimizer"]["state"].values():
        entry["exp_avg"].zero_()
    return saved | {"generator": generator.get_state()}


# The state of a run, two at once.


@two(STATE, "optimizer_forgotten", "not_copied")
def state_two_live_weights(model, optimizer, generator):
    return {"model": model.state_dict(), "generator": generator.get_state()}


@two(STATE, "weights_only", "not_copied")
def state_two_weights(model, optimizer, generator):
    return {"model": model.state_dict()}


@two(STATE, "rounded", "generator_forgotten")
def state_two_half(model, optimizer, generator):
    weights = {name: value.bfloat16() for name, value in model.state_dict().items()}
    return {"model": weights, "optimizer": copy.deepcopy(optimizer.state_dict())}


# The state of a run, right.


@right(STATE)
def state_deep(model, optimizer, generator):
    return copy.deepcopy(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "generator": generator.get_state(),
        }
    )


@right(STATE)
def state_pickled(model, optimizer, generator):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return pickle.loads(pickle.dumps(states)) | {"generator": generator.get_state()}


@right(STATE)
def state_of_a_copy(model, optimizer, generator):
    saved = {"generator": generator.get_state()}
    saved["model"] = copy.deepcopy(model).state_dict()
    saved["optimizer"] = copy.deepcopy(optimizer).state_dict()
    return saved


@right(STATE)
def state_double(model, optimizer, generator):
    weights = {name: value.double() for name, value in model.state_dict().items()}
    moments = copy.deepcopy(optimizer.state_dict())
    return dict(model=weights, optimizer=moments, generator=generator.get_state())


@right(STATE)
def state_with_more(model, optimizer, generator):
    saved = {"step": 12, "seed": generator.initial_seed(), "generator": generator.get_state()}
    saved["model"] = {name: torch.clone(value) for name, value in model.state_dict().items()}
    saved["optimizer"] = copy.deepcopy(optimizer.state_dict())
    return saved
