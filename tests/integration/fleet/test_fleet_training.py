"""A training of the smoke configuration on the stand-in cloud: the same weights as without."""

import shutil
import subprocess
import sys

import pytest
import yaml

from tests.integration.conftest import SMOKE
from tests.workflow.conftest import environment

pytestmark = pytest.mark.end_to_end


def test_a_training_on_a_tpu_vm_gives_the_same_weights(smoke, cloud, tmp_path):
    folder = tmp_path / "checkout"
    cloud.set(workers=1)
    shutil.copytree(smoke.folder, folder, symlinks=True)
    weights = "results/smoke/train/demo_cifar10/weights.safetensors"
    shutil.rmtree((folder / weights).parent)
    site, overlay = tmp_path / "site.yaml", tmp_path / "overlay.yaml"
    site.write_text(yaml.safe_dump(cloud.site()))
    overlay.write_text("compute: {training: {device: cpu}}")
    command = [sys.executable, "-m", "snakemake", "--profile", "tpu-fleet", *SMOKE[:3], overlay]
    done = subprocess.run(
        [*command, "--", weights],
        cwd=folder,
        env=environment() | {"ROBUSTVIT_FLEET_SITE": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]

    assert (folder / weights).read_bytes() == (smoke.folder / weights).read_bytes()
    assert (cloud.bucket / weights).read_bytes() == (folder / weights).read_bytes()
    assert "runs on" in done.stderr and "vm-0: deleted" in done.stderr
