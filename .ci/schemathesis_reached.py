"""Prints which status each operation answered how often, and fails if one never succeeded or was hardly tried.

Usage: schemathesis_reached.py DOCUMENT COUNTS
"""

import json
import sys

# What the release asks of an operation that has anything to vary; one without input has a handful of cases in all.
FEWEST_REQUESTS = 200

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
with open(sys.argv[2], encoding="utf-8") as file:
    counts = json.load(file)

problems = []
for path, item in document["paths"].items():
    for method, operation in item.items():
        if not isinstance(operation, dict) or "responses" not in operation:
            continue
        label = f"{method.upper()} {path}"
        answers = {status: n for status, n in sorted(counts.get(label, {}).items())}
        print(f"{label:45}", " ".join(f"{status}×{n}" for status, n in answers.items()))
        problems += [
            f"{label} never answered {status}"
            for status in operation["responses"]
            if status.startswith("2") and status not in answers
        ]
        has_input = operation.get("requestBody") or operation.get("parameters") or operation.get("security")
        if has_input and sum(answers.values()) < FEWEST_REQUESTS:
            problems.append(f"{label} was sent only {sum(answers.values())} times")

for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(bool(problems))
