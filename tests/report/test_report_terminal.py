import io
from dataclasses import replace

from rich.console import Console

from nasgym.report.headline import headline
from nasgym.report.search_report import Baseline
from nasgym.report.terminal import summary_table


def shown(report) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_table(report))
    return console.export_text().replace("\u00a0", " ")


def test_the_summary_shows_the_best_network_beside_the_baselines(finished):
    text = shown(finished)
    rows = [" ".join(line.strip("│").replace("│", " ").split()) for line in text.splitlines()]
    assert rows[0] == "The best network recognises 85.0 % of images it has never seen."
    assert any(row.startswith("Best network 90.0 % 85.0 %") for row in rows)
    assert any(row.startswith("Random network 60.0 % 58.0 % 500 4.00 kB") for row in rows)
    assert any(row == "Linear model 40.0 % 39.0 % – –" for row in rows)
    assert "conv3 conv3 maxpool2 conv3" in text


def test_square_brackets_in_names_are_not_markup(finished):
    assert "[red]model" in shown(replace(finished, baselines=(Baseline("[red]model", 0.1, 0.1),)))


def test_an_interrupted_search_is_summed_up_with_the_command_that_goes_on(interrupted):
    text = shown(interrupted)
    assert "Best network so far" in text
    assert "--seed 3 --resume" in " ".join(text.split())


def test_a_search_without_outcomes_is_summed_up_by_its_headline(fruitless, empty):
    assert "None of 3 networks could be evaluated." in shown(fruitless)
    assert "(invalid)" in shown(fruitless)
    assert "No network has been evaluated yet." in shown(empty)


def test_a_resumed_command_is_not_told_to_resume_twice(interrupted):
    again = replace(interrupted, settings=replace(interrupted.settings, command="nasgym search x --resume"))
    assert headline(again).command == "nasgym search x --resume"


def test_a_search_that_ended_without_promotion_says_that_nothing_was_tested(interrupted):
    words = headline(replace(interrupted, run=replace(interrupted.run, interrupted=False)))
    assert words.claim.startswith("The best of 8 networks recognises 80.0")
    assert words.detail == "No network was trained longer, so none has been tested."
