# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the project: one for each thing, and sentences that an English-speaking engineer would write."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LICENSE = "LICENSE"
"""The text of the licence is not ours."""
PATTERNS = {
    r"com[e]rs?": "phone",
    r"hindranc[e]s?": "obstacle, blocking item",
    r"m[e]nd(s|ed|ing)?": "fix",
    r"an[e]w": "again",
    r"t[o]ld": "reported, shown",
    r"so (m[a]ny|long|much|often)(?! (as|that)\b)": "a number or a time",
    r"how (it|the \w+ \w+) st[a]nds": "state",
    r"st[a]nds (twice|there|nowhere)": "occurs, duplicate",
    r"(it|that|they|which|who) (is|are|was|were) non[e]": "is not a ...",
    r"no te[x]t in UTF-8|is n[o] (CSV|PEM|URL|JSON)": "is not a ...",
    r"wh[o] is there": "the connections",
    r"that n[o]body took": "unknown",
    r"typing err[o]r": "unknown key",
    r"Loo[k] (which|whether|what|how)": "find, check",
    r"br(ing|ings|ought)( \w+){1,3} in f[o]rce": "apply",
    r"hand(s|ed|ing)?[ _]o[u]t": "publish",
    r"furth[e]r[ _]nodes?": "subscriber",
    r"sign of lif[e]": "heartbeat",
    r"(take|takes|taken|taking|took)[ _](it |one )?u[p]": "resume",
    r"(second|another|more)[ _]tr(y|i[e]s)": "retry",
    r"pass[e]d over": "ignored",
    r"in v[a]in|for ev[e]r|all the s[a]me": "plain words",
    r"loo[k]s? again and again": "poll, check periodically",
    r"tell(s)? wheth[e]r": "return whether",
    r"what bec(omes|ame) o[f]": "the changes, the result",
    r"(distribution|process) of its ow[n]": "a separate ...",
    r"where there is non[e]": "if there is none",
    r"there (is|are) no suc[h]": "unknown ..., ... does not exist",
    r"what answers ther[e]": "the program on that port",
    r"is no (hexadecima[l]|suc[h])": "is not a ...",
    r"(is|are) n[o] (answer of|backup of|CTL file|layer|number|phone configuration)": "is not a ...",
    r"le(ad|ads|d) (a|the|one|its|all)( whole)? session[s]?": "run a session",
    r"(Error|True) (when|where) (a|an|it|the|they|one|there) (is|are|was|were|has|have|c[a]nnot)": "if",
    r"in the hands of a te[s]t": "under the control of a test",
    r"whose time is o[v]er": "expired",
    r"has (a|the) \w+ on recor[d]": "records",
    r"goes on and repeats nothin[g]": "resumes",
    r"as it is at one momen[t]": "a consistent snapshot",
    r"come(s)? out eve[n]": "agree",
    r"put(s|ting)? in pl[a]ce": "install, publish",
    r"as they ha[v]e to": "as expected",
    r"of root'[s]": "of root",
    r"(is|are|was|were|be|been) begu[n]": "begins, starts",
    r"what is lef[t]": "the rest, the remaining ...",
    r"whoeve[r]": "the phone, person or program that ...",
    r"of (its|their|our|one's) ow[n](?! [a-z])": "its own ..., a separate ...",
    r"Error (when|wher[e])": "if",
    r"(True|None) (when|wher[e]) (it|they|there|a|an|the|anything|somebody)": "if",
    r"on record o[f]": "the record of, the facts on record about",
    r"(is|are) (throug[h]|asked fo[r])": "is done; requests, requires",
    r"(date|time|moment)( and time)? to com[e]": "a future time",
}
"""What is never written, and what to write instead; each word has a bracket, so that this file holds none of them."""


def _texts() -> dict[str, str]:
    """Return every text that git tracks or would track, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = [path for path in map(Path, listed.stdout.splitlines()) if path.name != LICENSE]
    contents = {str(path): (ROOT / path).read_bytes() for path in paths if (ROOT / path).is_file()}
    return {path: data.decode() for path, data in contents.items() if b"\0" not in data and _is_text(data)}


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


_ROUGH = {pattern: re.compile(pattern.lower().replace(" ", r"\s+")) for pattern in PATTERNS}
"""What is searched first: in lower case and within longer words too, which is many times as fast."""


def found(text: str) -> list[str]:
    """Return the words of the list that a text has, each with its line and with what to write instead."""
    lowered = text.lower()
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {match.group()!r}; write: {better}"
        for pattern, better in PATTERNS.items()
        if _ROUGH[pattern].search(lowered)
        for match in re.finditer(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), text, re.IGNORECASE)
    ]


def test_no_text_has_a_word_that_the_project_does_not_use() -> None:
    texts = _texts()
    assert len(texts) > 500
    assert [f"{path} {fault}" for path, text in texts.items() for fault in found(text)] == []


def test_each_pattern_finds_its_words_and_leaves_others_alone() -> None:
    wrong = " ".join(["com", "hindranc", "an"])  # the beginnings alone are no words of the list
    assert found(wrong) == []
    spelled = [re.sub(r"\[(.)\]", r"\1", pattern) for pattern in PATTERNS]
    samples = [re.sub(r"\(\?!.*?\)\)?|\?|\{1,3\}", "", one) for one in spelled if "(" not in one and "|" not in one]
    assert samples and all(found(sample.replace("[ _]", " ")) for sample in samples)
    assert found("amended, as long as it lasts, a standard recommendation; it stands for a name") == []
