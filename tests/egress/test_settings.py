"""`LINKFLOW_EGRESS_ALLOW`: addresses and ranges, refused at the start where they are neither."""

import pytest

from infra.settings import Settings, SettingsError


def test_addresses_and_ranges_are_taken() -> None:
    settings = Settings.from_env({"LINKFLOW_EGRESS_ALLOW": "127.0.0.1, 10.0.0.0/8,::1,fd00::/8"})
    assert settings.egress_allow == ("127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8")


@pytest.mark.parametrize("entry", ["localhost", "10.0.0.0/33", "*", "127.0.0.1:80", "http://127.0.0.1"])
def test_anything_else_names_the_variable_and_what_it_takes(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"LINKFLOW_EGRESS_ALLOW: .*IP address"):
        Settings.from_env({"LINKFLOW_EGRESS_ALLOW": entry})
