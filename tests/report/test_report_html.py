import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from nasgym.core.errors import ReportError
from nasgym.evaluation import Failed, FailureKind
from nasgym.report.html import render, write
from nasgym.report.search_report import Baseline, SearchReport

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Checks that tags nest, and collects what tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[\s\u00a0\u202f]+", " ", "".join(self.words))

    @property
    def sections(self) -> list[str | None]:
        return [attributes["id"] for tag, attributes in self.tags if tag == "section"]


def test_a_finished_search_has_every_section(finished):
    page = Page(render(finished))
    assert page.sections == [
        "comparison",
        "networks",
        "search",
        "tradeoff",
        "classes",
        "failures",
        "all",
        "data",
        "reproduce",
    ]


def test_the_page_says_what_was_found_and_against_what(finished):
    text = Page(render(finished)).text
    assert "The best network recognises 85.0 % of images it has never seen." in text
    assert "Of the same images, a random network recognises 58.0 % and a linear model 39.0 %." in text
    assert "The network was chosen from 8 networks by validation accuracy." in text
    assert "95 % interval 73.9 % to 91.9 %" in text
    assert "nasgym predict 'runs/a b/best.pt' FILES…" in text
    assert "nasgym search 'my <folder>' --evaluations 8 --seed 3" in text
    assert "40 epochs instead of 8" in text


def test_nothing_is_fetched_from_anywhere(finished):
    page = Page(render(finished))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base"}
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", render(finished))
    policies = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    assert policies[0].startswith("default-src 'none';")


def test_words_of_users_are_never_markup(finished):
    text = render(finished)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Layer 1 needs &lt;b&gt;more&lt;/b&gt; pixels." in text
    assert [tag for tag, _ in Page(text).tags].count("script") == 1
    hostile = replace(
        finished,
        task=replace(finished.task, name="</title><script>x"),
        settings=replace(finished.settings, command='<img src="x" onerror="y">', strategy="<s>"),
        baselines=(Baseline('"><script>', 0.5, 0.4),),
        run=replace(finished.run, hardware="<u>", versions=(("<p>", "<q>"),)),
    )
    page = Page(render(hostile))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not {"img", "s", "u", "q"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_no_id_appears_twice_and_every_reference_has_its_target(finished):
    text = render(finished)
    page = Page(text)
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    assert set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text)) <= set(identities)


def test_every_picture_has_words_for_those_who_do_not_see_it(finished):
    pictures = [attributes for tag, attributes in Page(render(finished)).tags if tag == "svg"]
    assert len([picture for picture in pictures if picture.get("role") == "img" and picture.get("aria-label")]) == 6
    assert all(picture.get("aria-label") or picture.get("aria-hidden") for picture in pictures)


def test_the_table_of_all_networks_can_be_sorted_by_plain_numbers(finished):
    page = Page(render(finished))
    keys = [attributes["data-key"] for tag, attributes in page.tags if tag == "td" and "data-key" in attributes]
    assert len(keys) == 7 * 8
    assert [float(key) for key in keys[2::7]] == [0.5, 0.4, 0.7, 0.65, 0.8, -1, -1, -1]


def test_failures_are_grouped_by_kind_and_message(finished):
    text = Page(render(finished)).text
    assert "Cannot exist on these images 2 networks" in text
    assert "Training diverged 1 network" in text
    assert text.count("Layer 1 needs <b>more</b> pixels.") == 1


def test_an_interrupted_search_tells_how_to_go_on(interrupted):
    page = Page(render(interrupted))
    assert "Nothing is lost. Go on with: nasgym search 'my <folder>' --evaluations 8 --seed 3 --resume" in page.text
    assert "Stopped after 8 of 8 networks: the best so far recognises 80.0 % of the validation images." in page.text
    assert "The best of the search; none has been trained longer yet." in page.text
    assert "classes" not in page.sections
    assert "nasgym predict" not in page.text
    assert "No baseline was measured." in page.text


def test_a_search_in_which_everything_failed_says_why(fruitless):
    page = Page(render(fruitless))
    assert "None of 3 networks could be evaluated." in page.text
    assert "There is no network to draw: every one of them failed." in page.text
    assert page.sections == ["networks", "search", "failures", "all", "data", "reproduce"]


def test_a_search_without_any_outcome_has_a_page(empty):
    page = Page(render(empty))
    assert "No network has been evaluated yet. Go on with:" in page.text
    assert page.sections == ["networks", "search", "failures", "all", "data", "reproduce"]


def test_one_network_is_enough_for_a_page(interrupted):
    page = Page(render(replace(interrupted, candidates=interrupted.candidates[:1])))
    assert "Stopped after 1 of 8 networks" in page.text
    assert "tradeoff" in page.sections


def test_a_search_answered_by_the_store_alone_has_no_curve_over_time(finished):
    known = tuple(replace(one, from_store=True) for one in finished.candidates)
    text = Page(render(replace(finished, candidates=known))).text
    assert "Best so far, by networks evaluated" in text
    assert "by time spent training" not in text


def test_a_finalist_that_failed_is_shown_with_its_reason(finished):
    lost = replace(finished.finalists[1], outcome=Failed(FailureKind.TIMED_OUT, "It took 900 s."))
    text = Page(render(replace(finished, finalists=(finished.finalists[0], lost)))).text
    assert re.search(r"after longer training\s*took too long", text)


def test_a_baseline_that_is_as_good_is_called_by_its_name(finished):
    good = replace(finished, baselines=(Baseline("linear model", 0.9, 0.86),))
    assert "On the test images a linear model is at least as good." in Page(render(good)).text


def test_many_classes_show_the_hardest_and_fold_the_others(finished):
    names = tuple(f"class {index}" for index in range(30))
    confusion = tuple(tuple(10 * (row == column) for column in range(30)) for row in range(30))
    task, test = replace(finished.task, class_names=names), replace(finished.test, confusion=confusion)
    page = Page(render(replace(finished, task=task, test=test)))
    assert "18 more classes" in page.text
    assert "Names of the 30 classes" in page.text
    assert "Confusion matrix" not in page.text
    assert "every test image was recognised" in page.text


def test_the_same_search_gives_the_same_page(finished):
    assert render(finished) == render(finished)


def test_a_page_of_two_hundred_networks_stays_below_two_megabytes(finished):
    many = tuple(
        replace(finished.candidates[index % 5], number=index + 1, architecture_id=str(index)) for index in range(200)
    )
    assert len(render(replace(finished, candidates=many)).encode()) < 2_000_000


def test_a_page_is_written_whole(finished, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    write(finished, path)
    assert path.read_text(encoding="utf-8") == render(finished)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_leaves_nothing_behind_and_says_so(finished, tmp_path):
    with pytest.raises(ReportError, match=r"cannot be written to .*missing.*No such file.*--out"):
        write(finished, tmp_path / "missing" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportError, match="cannot be written"):
        write(finished, tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_report_does_without_torch():
    code = "import sys, nasgym.report.html, nasgym.report.terminal; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ranks_go_by_accuracy_and_then_by_order_of_proposal(finished: SearchReport):
    tied = tuple(replace(one, outcome=finished.candidates[0].outcome) for one in finished.candidates[:3])
    assert [one.number for one in replace(finished, candidates=tied[::-1]).ranked] == [1, 2, 3]
    assert [one.number for one in finished.ranked] == [5, 3, 4, 1, 2]


def test_every_kind_of_failure_has_words(fruitless):
    failed = tuple(
        replace(fruitless.candidates[0], number=number, outcome=Failed(kind, f"reason {kind}"))
        for number, kind in enumerate(FailureKind, start=1)
    )
    text = Page(render(replace(fruitless, candidates=failed))).text
    assert all(f"reason {kind}" in text for kind in FailureKind)
