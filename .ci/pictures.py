"""Runs a command in a terminal of 92 columns and writes what that shows as an SVG: python3 pictures.py EXECUTABLE ARGUMENT…"""

import fcntl
import html
import os
import pty
import struct
import sys
import termios

COLUMNS, ROWS = 92, 50
CHARACTER, LINE, EDGE = 7.8, 19, 16


def output(command):
    """What the command writes to a terminal, without colours."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"NO_COLOR": "1", "TERM": "dumb"}
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execv(command[0], command)
    text = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # The other end is closed.
            break
        if not piece:
            break
        text += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
    return text.decode().replace("\r\n", "\n").rstrip().split("\n")


def main():
    command = sys.argv[1:]
    typed = " ".join(["$ arkloop", *command[1:]])
    lines = [(typed, "#7fd39a")] + [(line, "#e8eaed") for line in output(command)]
    width, height = COLUMNS * CHARACTER + 2 * EDGE, len(lines) * LINE + 2 * EDGE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-size="13">')
    print('<rect width="100%" height="100%" rx="8" fill="#14161a"/>')
    print("<g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">")
    for number, (line, colour) in enumerate(lines, 1):
        y = EDGE + number * LINE - 5
        print(f'<text x="{EDGE}" y="{y}" fill="{colour}" xml:space="preserve">{html.escape(line)}</text>')
    print("</g>\n</svg>")


main()
