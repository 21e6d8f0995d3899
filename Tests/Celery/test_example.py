"""The files of examples/celery that a reader copies."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import stage

from rig import EXAMPLE


def test_the_configuration_is_one_once_the_signers_are_filled_in(tmp_path: Path) -> None:
    text = (EXAMPLE / "hordelink.toml").read_text().replace("5F...", stage.SIGNER)
    # What an installed service has from systemd.
    hotkey = tmp_path / "hotkey"
    hotkey.touch(0o600)
    hotkey.write_text(json.dumps({"secretSeed": "0x" + "11" * 32}))
    configuration = tmp_path / "hordelink.toml"
    configuration.touch(0o600)
    configuration.write_text(
        f'state_directory = "{tmp_path}/state"\nruntime_directory = "/tmp/hordelink"\n'
        f'[identity]\nhotkey_file = "{hotkey}"\n{text.replace("#[hooks]", "[hooks]").replace("#on_", "on_")}'
    )
    check = [str(stage.PROGRAMS / "hordelink-supervisor"), "--check", "--config", str(configuration)]
    checked = subprocess.run(check, check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout + checked.stderr
