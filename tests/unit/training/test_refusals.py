"""What a training cannot do yet stops it before it reads anything."""

import pytest

from robustvit.core.errors import UserError
from robustvit.training.job import refuse_unsupported


def test_synthetic_images_are_refused_and_not_ignored():
    spec = {"experiment": "scratch", "synthetic": {"dataset": "cifar_ddpm", "ratio": 0.5}}
    with pytest.raises(UserError, match=r"experiments\.scratch\.synthetic.*cifar_ddpm"):
        refuse_unsupported(spec)


@pytest.mark.parametrize("spec", [{"experiment": "plain"}, {"experiment": "a", "synthetic": None}])
def test_other_trainings_are_not_refused(spec):
    refuse_unsupported(spec)
