"""Draws the figures as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.rivals import CREATE
from benchmarks.turns import ratio

OURS, PEERS, FAINT, INK, SOFT = "#2f6fde", "#a9b1bd", "#d9dee6", "#1d2530", "#66707d"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
# The functions with a line, and the colours; labels name the lines too.
LINES = {"V1CreateProject": "#2f6fde", "V1ListProjects": "#d9822b", "V1GetProject": "#2a9d6f"}


def plot(results: Mapping[str, Any], path: Path) -> None:
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12, 9), dpi=150, facecolor="white")
        figure.text(0.03, 0.945, "Atrium beside other frameworks", fontsize=18, fontweight="bold")
        figure.text(0.03, 0.912, subtitle(results), fontsize=10.5, color=SOFT)
        init(figure.add_axes((0.24, 0.455, 0.735, 0.39)), results)
        # Both charts have the same rows, so only one has labels.
        first(figure.add_axes((0.24, 0.07, 0.21, 0.27)), results)
        warm(figure.add_axes((0.475, 0.07, 0.21, 0.27)), results)
        growing(figure.add_axes((0.765, 0.07, 0.21, 0.27)), results["growth"]["projects"])
        figure.savefig(path)
        plt.close(figure)


def subtitle(results: Mapping[str, Any]) -> str:
    about = results["about"]
    python, processes = about["python"], about["processes"]
    how = f"Python {python}, from the built artefact in Lambda's own runtime."
    return f"{how} Medians of {processes} fresh processes, in turns."


def init(axes: Axes, results: Mapping[str, Any]) -> None:
    cold = {name: figures["init_cpu"] for name, figures in results["cold"].items()}
    order = sorted(results["rivals"], key=lambda rival: median(cold[rival["name"]]))
    figures = [median(cold[rival["name"]]) for rival in order]
    ratios = [ratio(cold[rival["name"]], cold["bare"]) for rival in order]
    texts = [f"{figure:.0f} ms   {times:.1f}x" for figure, times in zip(figures, ratios, strict=True)]
    bars(axes, order, figures, texts)
    axes.set_title("Init, CPU: what a cold start takes, and how many times a bare handler's", **TITLE)


def first(axes: Axes, results: Mapping[str, Any]) -> None:
    figures = [median(results["cold"][rival["name"]]["first_cpu"]) for rival in creating(results)]
    bars(axes, creating(results), figures, [f"{figure:.1f} ms" for figure in figures])
    axes.set_title("First creation over TLS, CPU", **TITLE)


def warm(axes: Axes, results: Mapping[str, Any]) -> None:
    figures = [median(results["warm"][rival["name"]]) / 1000 for rival in creating(results)]
    bars(axes, creating(results), figures, [f"{figure:.2f} ms" for figure in figures])
    axes.set_yticklabels([])
    axes.set_title("Warm creation, CPU", **TITLE)


def creating(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The candidates that do the same as our creation."""
    wanted = [rival for rival in results["rivals"] if rival["name"] in (CREATE, "boto3_client", "flask", "fastapi")]
    return sorted(wanted, key=lambda rival: median(results["cold"][rival["name"]]["init_cpu"]))


def growing(axes: Axes, growth: Mapping[str, Any]) -> None:
    for route, colour in LINES.items():
        costs = growth[route]["costs"]
        sizes = [int(size) for size in costs]
        units = [read + written for _, read, written in costs.values()]
        axes.plot(sizes, units, color=colour, marker="o", linewidth=2, clip_on=False)
        above = 7 if route != "V1GetProject" else -15
        axes.annotate(
            route, (sizes[0], units[0]), xytext=(0, above), textcoords="offset points", color=colour, fontsize=9
        )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_ylim(0, 14)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.tick_params(length=0)
    axes.set_xlabel("projects in the space")
    axes.set_title("Capacity units a request", **TITLE)


TITLE: dict[str, Any] = {"loc": "left", "fontsize": 11.5, "fontweight": "bold", "pad": 12}


def bars(axes: Axes, order: Sequence[Mapping[str, Any]], figures: Sequence[float], texts: Sequence[str]) -> None:
    """Draws horizontal bars with texts, the shortest on top; ours in colour, those without bytecode hatched."""
    places = range(len(order))
    drawn = axes.barh(places, figures, height=0.66, color=[colour(rival) for rival in order])
    for rival, bar, text in zip(order, drawn, texts, strict=True):
        if "no bytecode" in rival["label"]:
            bar.set(hatch="///", edgecolor="white", linewidth=0)
        axes.annotate(
            text,
            (bar.get_width(), bar.get_y() + bar.get_height() / 2),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    axes.set_yticks(places, [rival["label"].replace(" (plain `sam build`)", "") for rival in order])
    for rival, label in zip(order, axes.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if rival["ours"] else "normal")
    axes.invert_yaxis()
    axes.set_xlim(0, max(figures) * 1.22)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def colour(rival: Mapping[str, Any]) -> str:
    return OURS if rival["ours"] or rival["name"] == "no_bytecode" else PEERS
