"""Plots as SVG, in light and in dark colours, with the standard library alone."""

import html
import math

COLOURS = {
    "light": {"text": "#1f2328", "grid": "#d0d7de", "band": "#f6e7c1", "lines": ["#0969da", "#bc4c00", "#8c959f"]},
    "dark": {"text": "#e6edf3", "grid": "#30363d", "band": "#3d3418", "lines": ["#4493f8", "#db6d28", "#7d8590"]},
}
WIDTH = 720


def text(x, y, content, anchor="start", weight="normal"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">{html.escape(content)}</text>'


def bars(panels):
    """Horizontal bars: (title, [(label, value)]) for each panel; the bars of arkloop stand out."""
    def draw(colours):
        y, parts = 0, []
        for title, rows in panels:
            y += 26
            parts.append(text(0, y, title, weight="bold"))
            longest = max(value for _, value in rows)
            for label, value in rows:
                y += 22
                width = max(1, value / longest * (WIDTH - 330))
                colour = colours["lines"][0 if label.startswith("arkloop") else 2]
                parts.append(text(240, y, label, "end"))
                parts.append(f'<rect x="250" y="{y - 12}" width="{width:.1f}" height="15" fill="{colour}"/>')
                parts.append(text(258 + width, y, f"{value:,.0f}".replace(",", " ")))
            y += 10
        return y, parts
    return draw


def lines(panels):
    """Lines over time on a logarithmic scale of milliseconds: (title, (from, to) of the flood in s, {name: [(s, ms)]}) for each panel."""
    def draw(colours):
        top, parts = 0, []
        for title, (begin, end), series in panels:
            values = [value for points in series.values() for _, value in points]
            low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
            last = max(at for points in series.values() for at, _ in points)
            height, base = 130, top + 170
            def place(at, value):
                return 70 + at / last * (WIDTH - 80), base - (math.log10(value) - low) / max(1, high - low) * height
            parts.append(text(0, top + 22, title, weight="bold"))
            left, right = place(begin, 1)[0], place(min(end, last), 1)[0]
            parts.append(f'<rect x="{left:.0f}" y="{base - height}" width="{right - left:.0f}" height="{height}" fill="{colours["band"]}"/>')
            for power in range(low, high + 1):
                y = place(0, 10.0 ** power)[1]
                parts.append(f'<line x1="70" x2="{WIDTH - 10}" y1="{y:.0f}" y2="{y:.0f}" stroke="{colours["grid"]}"/>')
                parts.append(text(62, y + 4, f"{10.0 ** power:g} ms", "end"))
            for index, (name, points) in enumerate(series.items()):
                colour = colours["lines"][index % 3]
                path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
                parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
                parts.append(f'<g fill="{colour}">{text(260 + 90 * index, base + 16, name)}</g>')
            parts.append(text(70, base + 16, "0 s") + text(WIDTH - 10, base + 16, f"{last:.0f} s", "end"))
            top = base + 24
        return top, parts
    return draw


def write(path, draw):
    """Writes `<path>-light.svg` and `<path>-dark.svg`."""
    for name, colours in COLOURS.items():
        height, parts = draw(colours)
        with open(f"{path}-{name}.svg", "w") as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height + 6:.0f}" font-family="sans-serif" font-size="13" '
                       f'fill="{colours["text"]}">\n' + "\n".join(parts) + "\n</svg>\n")
