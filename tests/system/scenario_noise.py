"""
The other clients of a scenario's pool. Between any two steps they take every server connection that
is free, one transaction each, change the session's state, and check that they find their own again.
The connection that the next step's client had last stays taken meanwhile: it gets another one.
"""

from cluster import wait_until
from scenario_player import names_in
from wire import Wire, bind, errors, execute, parse, query, rows, sync

# In turn; "{me}" is the noise's name.
CHANGES = [
    {"TimeZone": "Asia/Kolkata", "DateStyle": "SQL, DMY", "search_path": "noise, public",
     "application_name": "{me}", "work_mem": "7MB", "role": "part", "lock_timeout": "80s"},
    {"client_encoding": "LATIN1", "standard_conforming_strings": "off", "bytea_output": "escape",
     "IntervalStyle": "iso_8601", "default_transaction_read_only": "on", "statement_timeout": "90s",
     "TimeZone": "America/Lima", "role": "none"},
    {"search_path": "", "default_transaction_isolation": "serializable", "extra_float_digits": "-3",
     "enable_seqscan": "off", "plan_cache_mode": "force_generic_plan", "TimeZone": "Asia/Tokyo",
     "idle_in_transaction_session_timeout": "95s"},
]  # fmt: skip
CUSTOM = r"(?:SET(?: SESSION| LOCAL)?|set_config\(E?'|SHOW|RESET)\s*([a-z_]\w*\.\w+)"
PREPARED = r"(?:PREPARE|parse)\s+([a-z]\w*)"


class Noise:
    """One other client."""

    def __init__(self, number, daemon, scenario):
        self.name = f"noise{number}"
        self.number = number
        self.wire = Wire((daemon.host, daemon.port), scenario.user, "scenario")
        self.custom = names_in(scenario, CUSTOM)
        self.prepared = names_in(scenario, PREPARED)
        self.is_prepared = False
        self.settings = {}
        self.round = number
        self.is_open = False

    def forget_all(self):
        """Every few rounds: a fresh session."""
        assert errors(self.wire.ask(query("DISCARD ALL"))) == []
        self.settings, self.is_prepared = {}, False

    def begin(self):
        """Its own state is there, and new state is made; the backend's PID."""
        if self.round % 5 == 4:
            self.forget_all()
        self.round += 1
        changes = CHANGES[self.round % len(CHANGES)] | dict.fromkeys(self.custom, self.name)
        changes = {name: value.replace("{me}", self.name) for name, value in changes.items()}
        known = "".join(f", current_setting('{name}')" for name in self.settings)
        wanted = "".join(self.change(name, value) for name, value in changes.items())
        replies = self.wire.ask(
            query(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_backend_pid(){known}"
                  f"{wanted}; {self.hidden()}"))  # fmt: skip
        self.expect([r.fields for r in replies if r.kind == "E"], [])
        pid, *found = rows(replies)[0]
        self.expect(dict(zip(self.settings, found)), self.settings)
        self.settings |= changes
        self.use_prepared()
        self.is_open = True
        return int(pid)

    def change(self, name, value):
        if name == "search_path" or self.round % 2 == 0:  # SET would make a list one quoted name
            return f"; SELECT pg_catalog.set_config('{name}', '{value}', false)"
        return f"; SET {name} = '{value}'"

    def hidden(self):
        """State that no setting holds: what others must not find there."""
        return "SELECT nextval('noise.noise')" + "".join(
            f"; PREPARE {name} AS SELECT '{self.name}'; EXECUTE {name}; DEALLOCATE {name}"
            for name in self.prepared if self.number % 2 == 1)  # fmt: skip

    def use_prepared(self):
        if self.number % 2 == 1 or not self.prepared:
            return
        makers = [] if self.is_prepared else [
            parse(name, f"SELECT '{self.name}'::text") for name in self.prepared]  # fmt: skip
        users = [bind("", name) + execute() for name in self.prepared]
        self.is_prepared = True
        self.expect(rows(self.wire.ask(*makers, *users, sync())), [(self.name,)] * len(users))

    def expect(self, found, wanted):
        if found != wanted:
            raise AssertionError(f"{self.name}, another client: {found}, not {wanted}")

    def end(self):
        if self.is_open:
            self.expect(errors(self.wire.ask(query("COMMIT"))), [])
            self.is_open = False


class Crowd:
    """The noise of one run of a scenario."""

    def __init__(self, scenario, daemon, console):
        self.scenario = scenario
        self.console = console
        self.noises = [Noise(number, daemon, scenario) for number in range(scenario.size)]
        self.taken = {}  # letter: PID of the server connection that it keeps
        self.last = {}  # letter: PID of the one it had last

    def close(self):
        for noise in self.noises:
            noise.wire.close()

    # -- ahead of a step -------------------------------------------------------------------------

    def before(self, step, player):
        if step.client != "outside" and step.verb not in ("reads", "hears", "cancels"):
            self.crowd(step.client, player)

    def before_end(self, letter, player):
        self.settle(player)
        self.crowd(letter, player)

    def crowd(self, letter, player):
        for noise in self.noises:
            noise.end()
        free = self.scenario.size - len(self.taken)
        used = {noise.begin(): noise for noise in self.noises[: max(free, 0)]}
        keep = None
        if len(used) > 1 and letter not in self.taken:
            keep = self.last.get(letter) if self.last.get(letter) in used else min(used)
        for pid, noise in used.items():
            if pid != keep:
                noise.end()
        if keep is not None and len(used) == 2:
            self.last[letter] = next(pid for pid in used if pid != keep)

    # -- behind it -------------------------------------------------------------------------------

    def after(self, step, player):
        letter = step.client
        if self.is_pinned(letter, player) and not player.is_busy(letter):
            # What pins it may just have ended: the next answer comes behind pgsluice's question.
            player.send(letter, sync())
            player.read(letter, ready=1)
            assert player.transcript.lines.pop() == f"  {letter} Z b'I'"
        self.settle(player)

    def is_pinned(self, letter, player):
        return letter in player.clients and self.ports(player)[letter]["pinned"] != ""

    def ports(self, player):
        rows_by_port = {row["port"]: row for row in self.console("SHOW CLIENTS")}
        return {
            letter: rows_by_port[str(one.socket.getsockname()[1])]
            for letter, one in player.clients.items()
            if str(one.socket.getsockname()[1]) in rows_by_port
        }

    def settle(self, player):
        """Until nobody but who is in a transaction or pinned has a server connection."""

        def settled():
            taken = {}
            for letter, row in self.ports(player).items():
                if row["database"] != "scenario" or row["user"] != self.scenario.user:
                    continue
                if row["link"] and not (player.is_busy(letter) or row["pinned"]):
                    return False
                if row["link"]:
                    taken[letter] = int(row["link"])
            self.taken = taken
            self.last.update(taken)
            return True

        wait_until(settled, timeout=10, interval=0.001, what="the scenario's clients are at rest")
