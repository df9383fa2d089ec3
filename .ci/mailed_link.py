"""Prints the newest link that was mailed to an address; waits for it.

Usage: mailed_link.py OUTBOX ADDRESS BEGINNING [KNOWN]
OUTBOX holds the .eml files of `mail.transport = "file"`. The link begins with BEGINNING and is none of KNOWN (comma-separated). If BEGINNING is
`code`, it is the code of a mail instead.
"""

import email
import email.policy
import pathlib
import re
import sys
import time

WAIT_SECONDS = 15


def links(outbox: pathlib.Path, address: str, beginning: str) -> list[str]:
    """Every such link or code, the newest mail's first."""
    found = []
    pattern = r"^    (\d{6,8})\s*$" if beginning == "code" else re.escape(beginning) + r"[\w-]+"
    files = sorted(outbox.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files:
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        if address.lower() not in str(mail["To"]).lower():
            continue
        text = mail.get_body(("plain",)).get_content()
        found += re.findall(pattern, text, re.M)
    return found


def main() -> None:
    outbox, address, beginning = sys.argv[1:4]
    known = sys.argv[4].split(",") if len(sys.argv) > 4 else []
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        new = [link for link in links(pathlib.Path(outbox), address, beginning) if link not in known]
        if new:
            print(new[0])
            return
        time.sleep(0.1)
    sys.exit(f"no mail to {address} with a new link or code ({beginning}) in {outbox} within {WAIT_SECONDS} s")


main()
