"""`nasgym predict`: name what images show, by a network that a search found."""

import json
from pathlib import Path
from typing import Annotated

import typer


def predict(
    weights: Annotated[Path, typer.Argument(help="best.pt of a search.")],
    files: Annotated[list[Path], typer.Argument(help="Image files.")],
    top: Annotated[int, typer.Option(min=1, help="Show so many classes of each image.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Name what images show.

    Example: `nasgym predict runs/photos/best.pt new/*.jpg --top 3`
    """
    from nasgym.evaluation.checkpoints import Classifier

    classifier = Classifier.load(weights)
    names = classifier.metadata.class_names
    predictions = classifier.predict(files)
    ranked = [
        sorted(zip(names, prediction.probabilities, strict=True), key=lambda pair: -pair[1])[:top]
        for prediction in predictions
    ]
    if as_json:
        shown = [
            {"file": str(prediction.path), "classes": [{"name": name, "probability": share} for name, share in pairs]}
            for prediction, pairs in zip(predictions, ranked, strict=True)
        ]
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for prediction, pairs in zip(predictions, ranked, strict=True):
        typer.echo(f"{prediction.path}\t" + "\t".join(f"{name} {share:.1%}" for name, share in pairs))
