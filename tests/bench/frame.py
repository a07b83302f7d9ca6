# SPDX-License-Identifier: MIT
"""frame -- what the rows of the table are, and how the table looks

    @row("bulk", rounds=5)
    def bulk(case):                         a row of work, in the file of its family
        '''one file of {size} MiB'''        told in the table, with what case.told says
        case.told(size=case.scale(1024, 64))
        ...
        yield Figure("curl http", 712, "MB/s", ratio=1.3, target=at_least(1.2))

A row asks case.scale() for its sizes and case.rounds for how often, measures, and yields its
figures. What it starts it starts in a Lan, which ends it however the row is left.
"""
import dataclasses
import statistics
import sys

ROWS = {}
MIB = 1 << 20


@dataclasses.dataclass
class Target:
    sign: str
    bound: float

    def met(self, value):
        return value >= self.bound if self.sign == ">=" else value <= self.bound

    def __str__(self):
        return f"{self.sign} {self.bound:.3g}"


def at_least(bound):
    return Target(">=", bound)


def at_most(bound):
    return Target("<=", bound)


@dataclasses.dataclass
class Figure:
    """One line of the table. The target is for the ratio if there is one, else for the value."""
    what: str
    value: float
    unit: str
    ratio: float = None
    target: Target = None
    cpu: tuple = None  # seconds at the fetching and at the serving end, in one run
    rss: tuple = None  # bytes at their peaks, likewise
    runs: list = dataclasses.field(default_factory=list)  # every single one, for machines

    def met(self):
        if not self.target:
            return None
        return self.target.met(self.value if self.ratio is None else self.ratio)


@dataclasses.dataclass
class Row:
    name: str
    work: callable
    rounds: int


def row(name, rounds=1):
    """Enters a row into the registry."""
    def enter(work):
        ROWS[name] = Row(name, work, rounds)
        return work
    return enter


def chosen(only):
    """The rows whose names begin with one of these words, in the order of their families."""
    return [r for r in ROWS.values() if not only or r.name.startswith(tuple(only.split(",")))]


class Case:
    """One row that is being played."""

    def __init__(self, row, rounds, quick):
        self.row, self.quick = row, quick
        self.rounds = rounds or (1 if quick else row.rounds)
        self.title, self.absent, self.error = row.work.__doc__, [], ""
        self.figures = []

    def scale(self, full, quick):
        return quick if self.quick else full

    def told(self, **sizes):
        self.title = self.row.work.__doc__.format(**sizes)

    def say(self, text):
        print(f"  {self.row.name}: {text}", file=sys.stderr, flush=True)

    def present(self, field):
        """Those of the contestants that are installed; the others are said to be absent."""
        for c in field:
            if c.missing():
                self.absent.append(f"{c.name}: not installed: {', '.join(c.missing())}")
        return [c for c in field if not c.missing()]

    def play(self):
        """A row that cannot be played is told, and the others go on."""
        try:
            for figure in self.row.work(self):
                self.figures.append(figure)
        except (AssertionError, OSError) as e:
            self.error = f"{type(e).__name__}: {e}"


def median(values):
    return statistics.median(list(values))


# The table

BLANK = " " * 54
COLUMNS = f"{BLANK}{'ratio':>6} {'target':>8} {'met':>4}  {'cpu-s':^12}  {'peak MiB':^13}"
ENDS = f"{BLANK}{'':6} {'':8} {'':4}  {'fetch':>5} {'serve':>6}  {'fetch':>6} {'serve':>6}"


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def line(figure, quick):
    met = {None: "", True: "yes", False: "NO"}[figure.met()] if not quick else ""
    ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else ""
    cpu = "{:5.1f} {:6.1f}".format(*figure.cpu) if figure.cpu else f"{'':12}"
    rss = "{:6.1f} {:6.1f}".format(*(r / MIB for r in figure.rss)) if figure.rss else ""
    return (f"  {figure.what:32} {number(figure.value):>9} {figure.unit:8} {ratio:>6} "
            f"{str(figure.target or ''):>8} {met:>4}  {cpu}  {rss}").rstrip()


def table(cases):
    yield COLUMNS.rstrip()
    yield ENDS.rstrip()
    for case in cases:
        yield f"{case.row.name}: {case.title}" + (f", {case.rounds} rounds" * (case.rounds > 1))
        yield from (line(f, case.quick) for f in case.figures)
        yield from (f"  left out: {a}" for a in case.absent)
        if case.error:
            yield f"  NOT PLAYED: {case.error.splitlines()[0]}"


def report(cases):
    """For machines: the same, with every single run."""
    return [{"row": c.row.name, "work": c.title, "rounds": c.rounds, "quick": c.quick,
             "absent": c.absent, "error": c.error,
             "figures": [dataclasses.asdict(f) | {"met": f.met()} for f in c.figures]}
            for c in cases]
