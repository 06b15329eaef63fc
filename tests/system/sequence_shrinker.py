"""Makes a sequence that shows a difference as short as it can be: delta debugging over its steps, then
over the messages of each."""

import time


def shrink(sequence, differs, seconds):
    """`differs(sequence)` tells whether it still shows one; the shortest found within the time."""
    deadline = time.monotonic() + seconds

    def still(steps):
        return time.monotonic() < deadline and differs(sequence.with_steps(steps))

    steps = fewest(sequence.steps, still)
    for place, step in enumerate(steps):
        if len(step.messages) < 2:
            continue

        def with_messages(messages, place=place, step=step):
            # Without a Sync or Query at its end it would have no answer.
            if not messages or messages[-1][0] not in "QS":
                return None
            shorter = type(step)(step.client, messages, step.pins, step.frees, step.room)
            return [*steps[:place], shorter, *steps[place + 1 :]]

        messages = fewest(step.messages, lambda m: (s := with_messages(m)) is not None and still(s))
        steps = with_messages(messages)
    return sequence.with_steps(steps)


def fewest(items, still):
    """Of these, in their order, as few as `still` is true for; it is for all of them."""
    parts = 2
    while len(items) > 1:
        size = -(-len(items) // parts)
        for start in range(0, len(items), size):
            rest = items[:start] + items[start + size :]
            if still(rest):
                items, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(items):
                return items
            parts = min(parts * 2, len(items))
    return items
