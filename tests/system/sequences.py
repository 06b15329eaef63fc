"""
A sequence: steps of several clients, each step a few messages in one write. It is data, so that it
can be kept in a file, read by people and played with any of its steps left out.
"""

import json
from dataclasses import dataclass, field

from wire import bind, close, describe, execute, parse, query, sync

# What a step may leave behind that keeps a client on its server connection until it goes.
FOR_LIFE = "FOR LIFE"


@dataclass
class Step:
    """
    `messages` are lists: the message's letter and its parts, as in MESSAGES. `pins` tells what may
    keep the client on its server connection from here on, `frees` what no longer does. `room` picks
    the way in which another client lets go of its server connection when this step needs one.
    """

    client: int
    messages: list
    pins: list = field(default_factory=list)
    frees: list = field(default_factory=list)
    room: int = 0

    @property
    def ready(self):
        """How many ReadyForQuery answer it."""
        return sum(message[0] in "QS" for message in self.messages)

    def sent(self):
        return b"".join(MESSAGES[letter](*parts) for letter, *parts in self.messages)

    def __str__(self):
        words = "; ".join(" ".join(map(str, message)) for message in self.messages)
        return f"client {self.client}: {words or 'connects anew'}"


MESSAGES = {
    "Q": query,
    "P": parse,  # name, SQL
    "B": lambda statement, parameters=(): bind("", statement, parameters),
    "D": describe,  # S or P, name
    "E": lambda limit=0: execute("", limit),
    "C": close,  # S or P, name
    "S": sync,
}


@dataclass
class Sequence:
    """`startup` are each client's startup parameters; `size` is the pool's."""

    name: str
    size: int
    user: str
    startup: list
    steps: list
    state: str = "ask"  # pgsluice's key `state`
    why: str = ""

    def with_steps(self, steps):
        return Sequence(self.name, self.size, self.user, self.startup, list(steps), self.state, self.why)

    def __str__(self):
        """As people read it."""
        lines = [f"{self.name}: user {self.user}, pool of {self.size}, state = {self.state}"]
        used = {step.client for step in self.steps}
        lines += [f"client {n} starts with {words}" for n, words in enumerate(self.startup)
                  if words and n in used]  # fmt: skip
        return "\n".join([*lines, *map(str, self.steps), *([self.why] if self.why else [])])

    def save(self, file):
        """One line a step."""
        head = {name: getattr(self, name) for name in ("name", "why", "user", "size", "state", "startup")}
        steps = []
        for step in self.steps:
            words = {"client": step.client, "messages": step.messages}
            words |= {key: value for key in ("pins", "frees", "room") if (value := getattr(step, key))}
            steps.append("  " + json.dumps(words, ensure_ascii=False))
        lines = [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}," for k, v in head.items()]
        text = "\n".join(["{", *lines, ' "steps": [', ",\n".join(steps), " ]", "}", ""])
        file.write_text(text, encoding="utf-8")


def load(file):
    words = json.loads(file.read_text(encoding="utf-8"))
    words["steps"] = [Step(**step) for step in words["steps"]]
    return Sequence(**words)
