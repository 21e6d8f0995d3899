"""A text that hordelink accepts means the same to whoever else reads it: to pydantic, to Python's json, and to it."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pydantic
import pytest

import models
from mutations import Mutator

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("HORDELINK_PROGRAMS", ROOT / ".build/debug")).absolute() / "hordelink-read-requests"
MUTATIONS = 20_000
MODELS: dict[str, type[pydantic.BaseModel]] = {"job": models.JobRequest, "cheat": models.CheatReport}

# What the vectors leave out: one of each kind of volume and upload in a request.
MORE: list[dict[str, Any]] = [
    {
        "volume": {
            "volume_type": "multi_volume",
            "volumes": [
                {"volume_type": "inline", "contents": "UEsDBA=="},
                {"volume_type": "zip_url", "contents": "https://signed", "relative_path": "p"},
                {"volume_type": "single_file", "url": "https://signed", "relative_path": "p"},
                {"volume_type": "huggingface_volume", "repo_id": "a/b", "allow_patterns": "*", "token": None},
            ],
        },
        "output_upload": {
            "output_upload_type": "multi_upload",
            "uploads": [
                {
                    "output_upload_type": "single_file_put",
                    "url": "u",
                    "relative_path": "r",
                    "signed_headers": {"A": "1"},
                },
                {
                    "output_upload_type": "single_file_post",
                    "url": "u",
                    "relative_path": "r",
                    "form_fields": {"b": "", "a": ""},
                },
            ],
            "system_output": {"output_upload_type": "zip_and_http_put", "url": "u"},
        },
        "streaming_details": {"public_key": "k"},
    },
    {"volume": {"volume_type": "zip_url", "contents": "https://signed"}},
    {"output_upload": {"output_upload_type": "multi_upload", "uploads": [], "system_output": {"url": "u"}}},
]


def vectors() -> list[str]:
    """Give every text of the vectors, and the ones they leave out."""
    entries = json.loads((ROOT / "Tests/Vectors/signed.json").read_text())
    texts = [entry["wire"] for entry in entries]
    texts += [json.dumps(json.loads(texts[0]) | more) for more in MORE]
    return texts + [entry["raw"] for entry in json.loads((ROOT / "Tests/Vectors/classify.json").read_text())]


def verdicts(texts: list[bytes]) -> list[dict[str, Any]]:
    """Ask hordelink about each text."""
    frames = b"".join(struct.pack(">I", len(text)) + text for text in texts)
    lines = subprocess.run([PROGRAM], input=frames, capture_output=True, check=True).stdout.splitlines()
    assert len(lines) == len(texts)
    return [json.loads(line) for line in lines]


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object in which a name stands twice."""
    found = dict(pairs)
    assert len(found) == len(pairs), "a name is there twice"
    return found


def says_no_more(plain: Any, model: Any, place: str = "") -> None:
    """Check that whoever reads the bare JSON finds what the model has, in the same types, and nothing else."""
    assert type(plain) is type(model), f"{place}: {plain!r} where the model has {model!r}"
    if isinstance(plain, dict):
        for name, value in plain.items():
            assert name in model, f"{place}: {name!r} is not in the model"
            if (place, name) != ("", "signature"):
                says_no_more(value, model[name], f"{place}.{name}")
    elif isinstance(plain, list):
        assert len(plain) == len(model)
        for index, (value, other) in enumerate(zip(plain, model, strict=True)):
            says_no_more(value, other, f"{place}.{index}")
    else:
        assert repr(plain) == repr(model), place


def compare(text: bytes, verdict: dict[str, Any]) -> None:
    """Read an accepted text with all readers."""
    plain = json.loads(text, object_pairs_hook=once)
    model = MODELS[verdict["accepted"]]
    by_pydantic = model.model_validate_json(text).model_dump(mode="json")
    by_json = model.model_validate(json.loads(text)).model_dump(mode="json")
    # As texts: order, types and NaN count.
    assert json.dumps(by_pydantic) == json.dumps(by_json) == json.dumps(verdict["model"])
    says_no_more(plain, by_pydantic)


def check(texts: list[bytes], seed: int | None = None) -> Counter[str]:
    """Compare every accepted text, and count what became of them."""
    counts: Counter[str] = Counter()
    for text, verdict in zip(texts, verdicts(texts), strict=True):
        kind = verdict.get("accepted", "ambiguous" if "two ways" in verdict.get("refused", "") else "refused")
        counts[kind] += 1
        if "accepted" in verdict:
            try:
                compare(text, verdict)
            except (AssertionError, ValueError) as error:
                error.add_note(f"seed {seed}, text {text!r}, hordelink has {verdict}")
                raise
    return counts


@pytest.fixture(autouse=True)
def _program() -> None:
    if not PROGRAM.is_file():
        pytest.skip(f"{PROGRAM} is not there: swift build")


def test_every_reader_finds_the_same_in_the_vectors() -> None:
    """Most are accepted; the ones written to be read laxly are not."""
    counts = check([text.encode() for text in vectors()])
    assert counts["job"] >= 30
    assert counts["cheat"] >= 8
    assert counts["ambiguous"] >= 3


def test_every_reader_finds_the_same_in_what_is_near_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    """HORDELINK_SEED repeats a run."""
    seed = int(os.environ.get("HORDELINK_SEED", random.SystemRandom().randrange(1 << 32)))
    base = [
        text
        for text, verdict in zip(vectors(), verdicts([text.encode() for text in vectors()]), strict=True)
        if "accepted" in verdict
    ]
    mutator = Mutator(seed)
    counts = check([mutator.mutate(base[place % len(base)]) for place in range(MUTATIONS)], seed)
    with capsys.disabled():
        print(f"seed {seed}: {dict(counts)}")
    # Otherwise it would compare nothing.
    assert min(counts[kind] for kind in ("job", "cheat", "ambiguous")) >= MUTATIONS // 100
    assert counts["job"] + counts["cheat"] >= MUTATIONS // 10
