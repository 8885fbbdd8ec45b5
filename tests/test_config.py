"""show_config()."""

import numpy as np

import rattling


def test_show_config():
    config = rattling.show_config()
    assert config["numpy"] == np.__version__
    assert config["sundials"][0] in "67"
    assert int(config["threads"]) >= 1
    assert all(isinstance(value, str) for value in config.values())
