"""S25, V11: sealed secrets open in their own place, with their own key, and in no other way; keys change safely."""

import base64
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.keys import load_secret_key
from infra.settings import Settings, SettingsError
from infra.vault import CannotOpen, Keyring, Place, Vault, key_id, key_of
from infra.vault_keys import KeysFromEnvironment, forget_old_keys, load_keyring, make_new_key, open_vault

PLACE = Place("workspace-1", "credential-1", "password")
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
VAULT = Vault.of_key(KEY)


@given(st.text(max_size=300))
def test_a_secret_comes_back_as_it_went(secret: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    sealed = VAULT.seal(secret, PLACE)
    assert VAULT.open(sealed, PLACE) == secret
    assert key_of(sealed) == key_id(KEY)


@pytest.mark.parametrize(
    "place",
    [
        Place("workspace-2", "credential-1", "password"),
        Place("workspace-1", "credential-2", "password"),
        Place("workspace-1", "credential-1", "token"),
        Place("workspace-1credential", "-1", "password"),
        Place("", "workspace-1credential-1", "password"),
    ],
)
def test_nothing_opens_in_another_place(place: Place) -> None:
    """D6: bound to workspace, credential and field; a row that was moved is of no use."""
    with pytest.raises(CannotOpen) as refused:
        VAULT.open(VAULT.seal("s3cret", PLACE), place)
    assert refused.value.code == "damaged_secret"


def test_every_flipped_bit_and_every_cut_fails_closed() -> None:
    secret = "s3cret-of-the-shop"
    sealed = VAULT.seal(secret, PLACE)
    changed = [
        sealed[:place] + chr(ord(sealed[place]) ^ 1 << bit) + sealed[place + 1 :]
        for place in range(len(sealed))
        for bit in range(7)
    ]
    cut = [sealed[:length] for length in range(len(sealed))]
    longer = [sealed + each for each in ("A", "=", "==", ".", "\n", " ")]
    told = set()
    for each in (*changed, *cut, *longer):
        with pytest.raises(CannotOpen) as refused:
            VAULT.open(each, PLACE)
        assert refused.value.code in {"damaged_secret", "unknown_key"}
        assert secret not in str(refused.value)
        told.add(str(refused.value))
    assert len(told) == 3  # of its format, its key, its content: the same words whatever was sealed


def test_another_key_never_opens_it() -> None:
    sealed = VAULT.seal("s3cret", PLACE)
    with pytest.raises(CannotOpen) as unknown:
        Vault.of_key(OTHER).open(sealed, PLACE)
    assert unknown.value.code == "unknown_key"
    forged = sealed.replace(key_id(KEY), key_id(OTHER))
    with pytest.raises(CannotOpen) as damaged:
        Vault.of_key(OTHER, KEY).open(forged, PLACE)
    assert damaged.value.code == "damaged_secret"


def test_old_keys_open_and_the_current_one_seals() -> None:
    sealed = VAULT.seal("s3cret", PLACE)
    both = Vault.of_key(OTHER, KEY)
    assert both.open(sealed, PLACE) == "s3cret"
    assert key_of(both.seal("s3cret", PLACE)) == key_id(OTHER) == both.current


def nonce_of(sealed: str) -> bytes:
    text = sealed.split(".")[2]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:12]


_MANY = """
import sys
from infra.vault import Place, Vault
vault, place = Vault.of_key(bytes(range(32))), Place("w", "c", "f")
for _ in range(int(sys.argv[1])):
    print(vault.seal("x", place))
"""


def test_nonces_are_unique_over_processes() -> None:
    """V11 at a small size (LINKFLOW_TEST_FULL=1: a million)."""
    count = 250_000 if os.environ.get("LINKFLOW_TEST_FULL") else 2_500
    runs = [
        subprocess.Popen([sys.executable, "-c", _MANY, str(count)], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    nonces = {nonce_of(line) for run in runs for line in run.communicate()[0].split()}
    assert [run.returncode for run in runs] == [0] * 4
    assert len(nonces) == 4 * count


def settings(tmp_path: Path, **changes: object) -> Settings:
    return Settings(data=tmp_path, **changes)  # type: ignore[arg-type]


def test_a_new_key_is_there_at_once_for_all_that_run(tmp_path: Path) -> None:
    here = settings(tmp_path)
    api, worker = open_vault(here), open_vault(here)
    first = api.seal("one", PLACE)
    assert worker.open(first, PLACE) == "one"
    name = make_new_key(here)
    second = api.seal("two", PLACE)
    assert key_of(second) == name != key_of(first)
    assert worker.open(second, PLACE) == "two"
    assert worker.open(first, PLACE) == "one"
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    third = make_new_key(here)
    assert forget_old_keys(here) == 1
    with pytest.raises(CannotOpen):
        open_vault(here).open(second, PLACE)
    assert open_vault(here).open(first, PLACE) == "one"  # under the key that also signs, which stays
    assert open_vault(here).current == third


def test_keys_given_by_variables(tmp_path: Path) -> None:
    text = base64.b64encode(KEY).decode()
    with_old = settings(tmp_path, secret_key=base64.b64encode(OTHER).decode(), old_secret_keys=(text,))
    assert open_vault(with_old).open(VAULT.seal("s3cret", PLACE), PLACE) == "s3cret"
    assert load_keyring(with_old).current == key_id(OTHER)
    with pytest.raises(KeysFromEnvironment):
        make_new_key(with_old)
    with pytest.raises(SettingsError, match="LINKFLOW_OLD_SECRET_KEYS"):
        load_keyring(settings(tmp_path, secret_key=text, old_secret_keys=("nonsense",)))
    assert not list(tmp_path.iterdir())
    from_files = open_vault(settings(tmp_path)).seal("earlier", PLACE)
    assert open_vault(with_old).open(from_files, PLACE) == "earlier"


_CHANGE = """
import sys
from pathlib import Path
from infra.settings import Settings
from infra.vault_keys import make_new_key
while True:
    make_new_key(Settings(data=Path(sys.argv[1])))
    print("made", flush=True)
"""


def test_a_kill_while_keys_change_loses_none(tmp_path: Path) -> None:
    """Whenever it is killed: what was sealed before opens, and there is one current key."""
    here = settings(tmp_path)
    sealed = open_vault(here).seal("s3cret", PLACE)
    for _ in range(4):
        run = subprocess.Popen([sys.executable, "-c", _CHANGE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        assert run.stdout.readline() == "made\n"
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert open_vault(here).open(sealed, PLACE) == "s3cret"
        assert len(load_secret_key(here)) == 32


def test_a_keyring_says_nothing_of_its_keys() -> None:
    assert KEY.hex() not in repr(Keyring(KEY))
    assert key_id(KEY) not in KEY.hex()
