"""Bar charts as SVG, written by hand: one file for each bench, ours above its peer. The thin line is the
range of our runs; where the longest would squeeze the bars, it is cut and told in words."""
import html

import results

WIDTH, LEFT, RIGHT, TOP, BAR, ROW = 720, 16, 190, 66, 22, 52
OURS, PEER, INK, FAINT = "#1f6f8b", "#b0b7bd", "#1c1c1c", "#6d757c"
FONT = "font-family='DejaVu Sans, Helvetica, sans-serif'"
ROOM = 1.15                    # the axis ends so far beyond the longest bar


def text(x, y, words, size=13, colour=INK):
    return (f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-size='{size}' fill='{colour}'>"
            f"{html.escape(words)}</text>")


def bars(title, subtitle, rows):
    """An SVG document. rows: (label, value, is it ours, lowest, highest); the last two may be None."""
    end = max(row[1] for row in rows) * ROOM or 1
    scale = (WIDTH - LEFT - RIGHT) / end
    height = TOP + len(rows) * ROW
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
           f"viewBox='0 0 {WIDTH} {height}'>",
           f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
           text(LEFT, 26, title, 16), text(LEFT, 46, subtitle, 12, FAINT)]
    for i, (label, value, ours, low, high) in enumerate(rows):
        y = TOP + i * ROW + 16
        middle, words, reach = y + BAR / 2, results.number(value), value
        out.append(text(LEFT, y - 5, label))
        out.append(f"<rect x='{LEFT}' y='{y}' width='{max(value * scale, 1):.1f}' height='{BAR}' "
                   f"fill='{OURS if ours else PEER}'/>")
        if low is not None and high > low:
            reach = max(value, min(high, end))
            words += f"  ({results.number(low)} .. {results.number(high)})"
            out.append(f"<path d='M{LEFT + low * scale:.1f} {middle} H{LEFT + reach * scale:.1f}' "
                       f"stroke='{INK}' stroke-width='1.5'/>")
        out.append(text(LEFT + reach * scale + 8, middle + 4, words))
    return "\n".join([*out, "</svg>", ""])


def of_result(result):
    better = "lower is better" if results.UNITS[result.unit] == "lower" else "higher is better"
    rows = [("Bellows", result.ours, True, result.minimum, result.maximum)]
    if result.peer is not None:
        rows.append((result.peer_name, result.peer, False, None, None))
    if result.plot_rows:
        rows = result.plot_rows
    return bars(result.name, f"{result.unit}, {better}; {result.runs} runs", rows)
