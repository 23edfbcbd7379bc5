"""Bar charts as SVG, written by hand: one file for each bench, ours beside its peer."""
import html

import results

WIDTH, BAR, GAP, LABEL, RIGHT = 720, 26, 10, 250, 110
OURS, PEER, INK, FAINT = "#1f6f8b", "#b0b7bd", "#1c1c1c", "#6d757c"
FONT = "font-family='DejaVu Sans, Helvetica, sans-serif'"


def text(x, y, words, size=13, colour=INK, anchor="start"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-size='{size}' fill='{colour}' "
            f"text-anchor='{anchor}'>{html.escape(words)}</text>")


def bars(title, subtitle, rows):
    """An SVG document. rows: (label, value, is it ours, lowest, highest); the last two may be None."""
    top = max([max(row[1], row[4] or 0) for row in rows] + [0]) or 1
    scale = (WIDTH - LABEL - RIGHT) / top
    height = 64 + len(rows) * (BAR + GAP) + 8
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
           f"viewBox='0 0 {WIDTH} {height}'>",
           f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
           text(16, 26, title, 16), text(16, 46, subtitle, 12, FAINT)]
    for i, (label, value, ours, low, high) in enumerate(rows):
        y = 62 + i * (BAR + GAP)
        middle = y + BAR / 2
        out.append(text(LABEL - 10, middle + 4, label, anchor="end"))
        out.append(f"<rect x='{LABEL}' y='{y}' width='{max(value * scale, 1):.1f}' height='{BAR}' "
                   f"fill='{OURS if ours else PEER}'/>")
        end = value
        if low is not None and high is not None and high > low:
            end = max(value, high)
            out.append(f"<path d='M{LABEL + low * scale:.1f} {middle} H{LABEL + high * scale:.1f}' "
                       f"stroke='{INK}' stroke-width='1.5'/>")
        out.append(text(LABEL + end * scale + 8, middle + 4, results.number(value)))
    return "\n".join([*out, "</svg>", ""])


def of_result(result):
    better = "lower is better" if results.UNITS[result.unit] == "lower" else "higher is better"
    rows = [("Bellows", result.ours, True, result.minimum, result.maximum)]
    if result.peer is not None:
        rows.append((result.peer_name, result.peer, False, None, None))
    return bars(result.name, f"{result.unit}, {better}; {result.runs} runs", rows)
