"""Makes the tables and plots of docs/performance.md of the raw output of benches/compare, benches/grow and benches/engines."""

import os
import re
import statistics

import plots

LABELS = {
    "arkloop-es256": "arkloop, ES256 (default)", "arkloop-eddsa": "arkloop, EdDSA", "arkloop-portable": "arkloop, argon2 (portable)",
    "pocketbase": "PocketBase, bcrypt (default)",
    "better-auth-scrypt": "better-auth, scrypt (default)", "better-auth-node-rs": "better-auth, @node-rs/argon2",
    "better-auth-node-argon2": "better-auth, argon2 (C)",
}
TITLES = {"register": "Registrations", "login": "Sign-ins by password", "refresh": "Refreshes", "me": "Authenticated reads"}
FLOODS = {"flood-sign-in": "32 connections sign in", "flood-register": "32 connections register",
          "storm": "256 connections refresh at the same moment, every 2 s"}


class Figures:
    """The raw output: a text for (system, what, connections, turn) and the name of a figure."""

    def __init__(self, path):
        self.runs, found = {}, None
        with open(path) as file:
            for line in file:
                words = line.split(None, 1)
                if line.startswith("== "):
                    found = self.runs.setdefault(tuple(line.split()[1:]), {})
                elif found is not None and len(words) == 2:
                    found[words[0]] = words[1].strip()

    def all(self, system, what, connections, name):
        found = [run.get(name, "-") for key, run in self.runs.items() if key[:3] == (system, what, str(connections))]
        return [float(text) for text in found if text != "-"]

    def median(self, *key):
        found = self.all(*key)
        return statistics.median(found) if found else None

    def widths(self):
        return sorted({int(key[2]) for key in self.runs if key[1] in TITLES})


def label(system, what):
    """The name of a system; how it hashes passwords matters only where one is hashed."""
    if what in ("register", "login"):
        return LABELS[system].replace("ES256", "argon2-rust")
    return re.sub(r", \w+crypt.*", "", LABELS[system])


def number(value, digits=None):
    if value is None:
        return "–"
    digits = digits if digits is not None else 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", " ")


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def requests(figures, what):
    rows = []
    for system in LABELS:
        for width in figures.widths():
            key = (system, what, width)
            runs = [run for found, run in figures.runs.items() if found[:3] == (system, what, str(width))]
            if not runs:
                continue
            errors = sorted({run.get(f"{what}.errors", "not measured") for run in runs} - {"none"})
            cpu = figures.median(*key, "server.cpu_ms_each")
            longest = figures.all(*key, f"{what}.max_ms")
            rows.append([label(system, what), str(width), number(figures.median(*key, f"{what}.served_per_second")),
                         number(cpu and cpu * 1000), *(number(figures.median(*key, f"{what}.{name}_ms")) for name in ("p50", "p99")),
                         number(max(longest, default=None)), number(figures.median(*key, "generator.cpu_share")), "; ".join(errors) or "none"])
    return table(["", "connections", "served/s", "CPU each, µs", "p50, ms", "p99, ms", "longest, ms", "generator", "errors"], rows)


def processes(figures):
    names = ["start.ms", "start.first_ms", "rss.idle_mib", "rss.peak_mib", "rss.rested_mib", "size.mb"]
    rows = [[LABELS[system], *(number(figures.median(system, "process", "-", name), 1) for name in names)] for system in LABELS
            if figures.all(system, "process", "-", "start.ms")]
    return table(["", "start, ms", "first start, ms", "RSS idle, MiB", "at most", "after 5 s of rest", "size, MB"], rows)


def floods(figures):
    rows = []
    for what, title in FLOODS.items():
        for key, run in figures.runs.items():
            names = [name for name in run if key[1] == what and name.endswith(".served_per_second")]
            for name in sorted(names, key=lambda name: ("before", "during", "after").index(name.split(".")[0])):
                part, who = name.split(".")[:2]
                rows.append([title, part, "those that flood" if who == "flood" else {"me": "read"}.get(who, who), number(float(run[name])),
                             *(run.get(f"{part}.{who}.{figure}", "–") for figure in ("p50_ms", "p99_ms", "max_ms", "errors"))])
    return table(["flood", "", "who", "served/s", "p50, ms", "p99, ms", "longest, ms", "errors"], rows)


def targets(figures):
    base = "arkloop-es256"
    def rate(system, what, width):
        return figures.median(system, what, width, f"{what}.served_per_second")
    def against(what, width, peer, system=base):
        ours, theirs = rate(system, what, width), rate(peer, what, width)
        return ours / theirs if ours and theirs else None
    def cpu(what, width, system=base):
        each = figures.median(system, what, width, "server.cpu_ms_each")
        return each and each * 1000
    hash = {name: figures.median("hash", "-", "-", f"{name}.cpu_ms_each") for name in ("hash", "portable_hash")}
    backend = next((run.get("hash.backend", "unknown") for key, run in figures.runs.items() if key[0] == "hash"), "unknown")
    def against_hash(name, system):
        signed_in = cpu("login", 16, system)
        return signed_in / 1000 / hash[name] if signed_in and hash[name] else None
    rows = [
        ("reads at 64, against PocketBase", against("me", 64, "pocketbase"), 9, "x"), ("read at 64, CPU", cpu("me", 64), -21, "µs"),
        ("refreshes at 64 with ES256, against PocketBase", against("refresh", 64, "pocketbase"), 3.3, "x"),
        ("refresh at 64 with ES256, CPU", cpu("refresh", 64), -52, "µs"),
        ("refreshes at 64 with EdDSA, against PocketBase", against("refresh", 64, "pocketbase", "arkloop-eddsa"), 4, "x"),
        ("refresh at 64 with EdDSA, CPU", cpu("refresh", 64, "arkloop-eddsa"), -42, "µs"),
        ("refresh at 64, p99", figures.median(base, "refresh", 64, "refresh.p99_ms"), -10, "ms"),
        ("refresh at 256, p99", figures.median(base, "refresh", 256, "refresh.p99_ms"), -30, "ms"),
        ("sign-ins at 16, against PocketBase", against("login", 16, "pocketbase"), 8, "x"),
        ("sign-ins at 16, against better-auth with argon2 (C)", against("login", 16, "better-auth-node-argon2"), 2, "x"),
        ("sign-ins at 16, against better-auth with @node-rs/argon2", against("login", 16, "better-auth-node-rs"), 2, "x"),
        ("sign-in at 16, CPU against the bare hash", against_hash("hash", base), -1.3, "x"),
        ("the same with argon2, which is portable", against_hash("portable_hash", "arkloop-portable"), -1.15, "x"),
        ("registrations at 16, against PocketBase", against("register", 16, "pocketbase"), 12, "x"),
        ("RSS idle", figures.median(base, "process", "-", "rss.idle_mib"), -15, "MiB"),
        ("RSS after 5 s of rest", figures.median(base, "process", "-", "rss.rested_mib"), -20, "MiB"),
        ("start", figures.median(base, "process", "-", "start.ms"), -30, "ms"),
        ("executable", figures.median(base, "process", "-", "size.mb"), -16.4, "MB"),
    ]
    def row(name, value, target, unit):
        met = value is not None and (value >= target if target > 0 else value <= -target)
        return [name, ("≥ " if target > 0 else "≤ ") + f"{abs(target):g} {unit}", f"{number(value)} {unit}",
                "not measured" if value is None else "met" if met else "MISSED"]
    said = table(["what", "target", "measured", ""], [row(*one) for one in rows])
    return (f"The bare hash takes {number(hash['hash'])} ms of CPU with argon2-rust ({backend}) and {number(hash['portable_hash'])} ms with argon2.\n\n{said}")


def rates(figures):
    panels = []
    for what, width in (("register", 16), ("login", 16), ("refresh", 64), ("me", 64)):
        width = min(width, max(figures.widths()))
        found = [(label(system, what), figures.median(system, what, width, f"{what}.served_per_second")) for system in LABELS]
        found = [(name, value) for name, value in found if value]
        panels += [(f"{TITLES[what]} per second, {width} connections", found)] if found else []
    return panels


def latencies(figures):
    panels = []
    for key, run in figures.runs.items():
        series, during = {"p50": [], "p99": [], "longest": []}, []
        for name, text in run.items():
            at = re.fullmatch(r"(before|during|after)\.refresh\.at_(\d+)_ms", name)
            if key[1] in FLOODS and at:
                during += [int(at[2]) / 1000] if at[1] == "during" else []
                for points, value in zip(series.values(), text.split()[1:]):
                    points.append((int(at[2]) / 1000, float(value)))
        if during:
            panels.append((f"Refresh while {FLOODS[key[1]]}", (min(during), max(during) + 0.5), series))
    return panels


def picture(page, name, alt, draw):
    directory = os.path.join(os.path.dirname(page), "pictures")
    os.makedirs(directory, exist_ok=True)
    plots.write(os.path.join(directory, name), draw)
    return (f'<picture><source media="(prefers-color-scheme: dark)" srcset="pictures/{name}-dark.svg">'
            f'<img src="pictures/{name}-light.svg" alt="{alt}"></picture>')


def growth(figures):
    sizes = sorted({int(key[0]) for key in figures.runs if key[0].isdigit()})
    asked = [("Refresh at 64, CPU", "refresh", 64, "server.cpu_ms_each", 1000, "µs"), ("Refresh at 64, p99", "refresh", 64, "refresh.p99_ms", 1, "ms"),
             ("Read at 64, CPU", "me", 64, "server.cpu_ms_each", 1000, "µs"), ("Read at 64, p99", "me", 64, "me.p99_ms", 1, "ms"),
             ("Sign-in at 16, CPU", "login", 16, "server.cpu_ms_each", 1, "ms"), ("Registration at 16, CPU", "register", 16, "server.cpu_ms_each", 1, "ms"),
             ("Start", "process", "-", "start.ms", 1, "ms"), ("RSS idle", "process", "-", "rss.idle_mib", 1, "MiB"),
             ("RSS after 5 s of rest", "process", "-", "rss.rested_mib", 1, "MiB"), ("`/metrics`, the first", "metrics", "-", "first_ms", 1, "ms"),
             ("`/metrics`, later", "metrics", "-", "later_ms", 1, "ms"), ("Database", "process", "-", "database.mb", 1, "MB"),
             ("First sweep", "sweep", "-", "sweep.seconds", 1, "s"), ("Refresh at 16 beside it, longest", "sweep-refresh", 16, "refresh.max_ms", 1, "ms"),
             ("Read at 16 beside it, longest", "sweep-me", 16, "me.max_ms", 1, "ms")]
    commands = {name: None for key, run in figures.runs.items() if key[1] == "commands" for name in run}
    asked += [(f"`{name.replace('+', ' ')}`", "commands", "-", name, 1, "ms") for name in commands]

    def row(title, what, width, name, factor, unit):
        found = [figures.median(str(size), what, width, name) for size in sizes]
        ratio = found[-1] / found[0] if found[0] and found[-1] else None
        return [title, *(number(value and value * factor) for value in found), unit, number(ratio)]
    heads = ["", *(f"{size:,} accounts".replace(",", " ") for size in sizes), "", "last : first"]
    return table(heads, [row(*one) for one in asked])


def engines(figures):
    rows = []
    for what in ("refresh", "me", "login"):
        for width in figures.widths():
            for name, shown in (("arkloop-sqlite", "SQLite"), ("arkloop-postgres", "PostgreSQL")):
                key = (name, what, width)
                server, database = (figures.median(*key, f"{part}.cpu_ms_each") for part in ("server", "database"))
                errors = sorted({run.get(f"{what}.errors", "not measured") for found, run in figures.runs.items() if found[:3] == (name, what, str(width))} - {"none"})
                rows.append([TITLES[what], str(width), shown, number(figures.median(*key, f"{what}.served_per_second")), number(server and server * 1000),
                             number(database and database * 1000), *(number(figures.median(*key, f"{what}.{one}_ms")) for one in ("p50", "p99")),
                             number(max(figures.all(*key, f"{what}.max_ms"), default=None)), "; ".join(errors) or "none"])
    heads = ["", "connections", "engine", "served/s", "CPU of arkloop each, µs", "CPU of the database each, µs", "p50, ms", "p99, ms", "longest, ms", "errors"]
    names = ["start.ms", "start.first_ms", "rss.idle_mib"]
    process = [[shown, *(number(figures.median(name, "process", "-", one), 1) for one in names)]
               for name, shown in (("arkloop-sqlite", "SQLite"), ("arkloop-postgres", "PostgreSQL"))]
    return [table(heads, rows), table(["engine", "start, ms", "first start, ms", "RSS idle, MiB"], process)]


def body(kind, figures, written):
    """The parts of a page below the facts."""
    if kind == "engines":
        return engines(figures)
    if kind == "growth":
        return [growth(figures)]
    parts = []
    if rates(figures):
        parts.append(picture(written, f"perf-{kind}-rates", "Requests per second of each server", plots.bars(rates(figures))))
    for what, title in TITLES.items():
        parts += [f"### {title}", requests(figures, what)]
    parts += ["### Process", processes(figures)]
    if latencies(figures):
        parts += ["### Floods", picture(written, f"perf-{kind}-floods", "Latency of refreshes before, during and after each flood",
                                        plots.lines(latencies(figures))), floods(figures)]
    # The targets are for a server that has a core of its own.
    return [*parts, "### Targets", targets(figures)] if kind == "one-core" else parts


def write(raw, page, written):
    """Replaces the figures in the text of `page` by those of `raw`, and writes it as `written`."""
    figures, name = Figures(raw), os.path.basename(raw)
    kind = next(kind for kind in ("one-core", "two-cores", "growth", "engines") if kind in name)
    facts = figures.runs[("facts", "-", "-", "1")]
    parts = [f"Raw output: [{name}](../benches/results/{name}).", table(["", ""], [[key.replace("_", " "), text] for key, text in facts.items()])]
    parts += body(kind, figures, written)
    with open(page) as file:
        before, _, rest = file.read().partition(f"<!-- {kind}:begin -->\n")
        after = rest.partition(f"<!-- {kind}:end -->")[2]
    with open(written, "w") as file:
        file.write(f"{before}<!-- {kind}:begin -->\n" + "\n\n".join(parts) + f"\n<!-- {kind}:end -->{after}")
