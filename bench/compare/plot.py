"""The comparison as a picture: bars of CPU time, memory and latency as multiples of nginx's."""

from xml.sax.saxutils import escape

COLOURS = {"nginx": "#9aa5b1", "nginx-lua": "#c9b458", "haproxy": "#7fa3c7", "envoy": "#b58ac4", "bare": "#c9ced6",
           "pinegate": "#1f7a4d"}
WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 940, 330, 110, 13, 14, 64
# Longer bars are broken off.
MOST = 3.0


def svg(rows, names, foot):
    """`rows`: title, unit, and by the name of each proxy its figure and its multiple of nginx."""
    scale = (WIDTH - LEFT - RIGHT) / MOST
    y, parts = HEAD, []
    for title, unit, figures in rows:
        top = y
        for name in names:
            if name not in figures:
                continue
            figure, ratio = figures[name]
            length = max(min(ratio, MOST) * scale, 1)
            broken = " →" if ratio > MOST else ""
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS[name]}"/>')
            parts.append(text(LEFT + length + 5, y + BAR - 4, f"{ratio:.2f}{broken}  ({figure})", 10, "#555"))
            y += BAR
        middle = (top + y) / 2
        parts.append(text(LEFT - 10, middle - 2, title, 12, "#111", "end"))
        parts.append(text(LEFT - 10, middle + 11, unit, 10, "#777", "end"))
        y += GAP
    one = LEFT + scale
    line = f'<line x1="{one:.1f}" y1="{HEAD - 6}" x2="{one:.1f}" y2="{y - GAP + 4}" stroke="#444" stroke-dasharray="3 3"/>'
    legend, x = [], 20
    for name in names:
        legend.append(f'<rect x="{x}" y="34" width="11" height="11" fill="{COLOURS[name]}"/>')
        legend.append(text(x + 16, 44, name, 12, "#111"))
        x += 34 + 8 * len(name)
    height = y + 24
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" role="img" aria-label="CPU time, memory and latency of proxies, nginx = 1">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        text(20, 22, "Multiples of nginx that only proxies (shorter is better)", 14, "#111"), *legend, line, *parts,
        text(20, height - 8, foot, 10, "#777"), "</svg>", ""])


def text(x, y, words, size, colour, anchor="start"):
    # The white edge keeps figures readable where the line of nginx crosses them.
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'paint-order="stroke" stroke="#fff" stroke-width="3">{escape(words)}</text>')
