"""Settings that are too long for a command line travel packed."""

import argparse
import json

import pytest

from robustvit.core.cli import LONGEST_SPEC, pack_spec, parse_spec

LONG = json.dumps({"rows": [f"experiment {n % 100}" for n in range(20_000)]})


def test_a_short_spec_stays_readable():
    assert pack_spec('{"seed":42}') == '{"seed":42}'


def test_a_long_spec_fits_and_comes_back():
    packed = pack_spec(LONG)
    assert len(LONG) > 2 * LONGEST_SPEC
    assert len(packed) < LONGEST_SPEC
    assert parse_spec(packed) == json.loads(LONG)


def test_packing_is_the_same_every_time():
    assert pack_spec(LONG) == pack_spec(LONG)


@pytest.mark.parametrize("text", ["zlib:", "zlib:!!!", "zlib:AAAA"])
def test_a_damaged_spec_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="not valid JSON"):
        parse_spec(text)
