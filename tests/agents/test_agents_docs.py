"""The page on agents: its examples run, its tables name what there is."""

import doctest
import re
from dataclasses import fields
from pathlib import Path

import pytest

from nasgym.agents.config import AgentConfig, Defects
from nasgym.agents.named import NAMED

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, PAGE.name, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert not report, "".join(report)
    assert len(example.examples) > 20


def test_every_agent_and_every_setting_is_described():
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w.]+)`", text, re.MULTILINE))
    assert set(NAMED) <= named
    assert {field.name for field in fields(Defects)} <= named
    described = set(re.findall(r"`([a-z_]+)(?:\.[a-z_]+)?`", text)) | set(re.findall(r"`\w+\.([a-z_]+)`", text))
    for field in fields(AgentConfig):
        if field.name != "defects":
            part = getattr(AgentConfig(), field.name)
            assert field.name in described
            if field.name in ("rollout", "returns", "losses", "optimizer"):
                assert {inner.name for inner in fields(part)} <= described, field.name
