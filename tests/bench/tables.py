"""What tables are made of."""


def number(value, digits=0):
    return "-" if value is None else f"{value:.{digits}f}"


def aligned(header, rows):
    """Plain columns: the first to the left, the others to the right"""
    table = [header] + rows
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    return [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
        for line in table
    ]
