"""V12, S24: known secrets are hidden in whatever form they turn up."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.telemetry.logs import _hide_secrets
from infra.telemetry.redaction import HIDDEN
from infra.telemetry.secret_values import RECENT, RecentSecrets, SecretValues

CANARY = 'cañary/9f3+"x&=?\\z'
HIDING = SecretValues([CANARY])


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        f"Bearer {CANARY}!",
        quote(CANARY, safe=""),
        quote(CANARY),
        quote_plus(CANARY),
        quote(CANARY, safe="").lower(),
        json.dumps({"a": CANARY}),
        json.dumps({"a": CANARY}, ensure_ascii=False),
        json.dumps(json.dumps({"a": CANARY})),
        html.escape(CANARY),
        CANARY.encode().hex(),
        CANARY.encode().hex().upper(),
        repr({"a": CANARY}),
        str(ValueError(f"cannot send {CANARY}")),
        *(base64.b64encode(b"u" * number + CANARY.encode() + b"v" * (number % 3)).decode() for number in range(9)),
        *(base64.urlsafe_b64encode(b"user:"[:before] + CANARY.encode()).decode() for before in range(4)),
    ],
)  # fmt: skip
def test_it_is_hidden_in_every_form(form: str) -> None:
    hidden = HIDING.hide(f"before {form} after")
    assert HIDDEN in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    assert "9f3" not in hidden
    middle = base64.b64encode(CANARY.encode()).decode()[4:16]
    assert middle not in hidden


def test_it_is_hidden_in_json_values_and_names() -> None:
    value = {"list": [CANARY, 1, None, {f"x-{CANARY}": True}], "number": 1.5}
    hidden = HIDING.hide_in(value)
    assert hidden["number"] == 1.5
    assert "9f3" not in json.dumps(hidden)
    assert SecretValues([]).hide_in(value) is value


@pytest.mark.parametrize("cut", range(8, len(CANARY)))
def test_what_a_cut_leaves_of_it_is_hidden(cut: int) -> None:
    """Airflow's mistake: the mask was lost when a long value was truncated."""
    assert HIDING.hide(f"the server said {CANARY[:cut]}") == f"the server said {HIDDEN}"


@given(st.text(min_size=8, max_size=60), st.text(max_size=40), st.text(max_size=40))
def test_nothing_of_the_plain_secret_remains(secret: str, before: str, after: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    hidden = SecretValues([secret]).hide(before + secret + after)
    assert secret not in hidden.replace(HIDDEN, "")


def test_short_secrets_are_not_looked_for() -> None:
    assert SecretValues(["a", "", "abc"]).hide("abcabc") == "abcabc"


def test_logs_know_the_newest_secrets_of_a_credential() -> None:
    recent = RecentSecrets(most=2)
    recent.use("c1", ["first-secret"])
    recent.use("c1", ["second-secret"])
    assert recent.hide("first-secret second-secret") == f"first-secret {HIDDEN}"
    recent.use("c2", ["third-secret"])
    recent.use("c3", ["fourth-secret"])
    assert recent.hide("second-secret third-secret") == f"second-secret {HIDDEN}"
    assert recent.hide_in(ValueError("third-secret")) == HIDDEN


def test_a_line_of_the_log_has_no_secret() -> None:
    RECENT.use("c", ["canary-5f2a"])
    try:
        line = _hide_secrets(
            None,
            "error",
            {
                "event": "failed for canary-5f2a",
                "reason": ValueError("cannot reach canary-5f2a"),
                "parts": [{"a": "canary-5f2a"}],
                "exception": "Traceback … canary-5f2a",
                "count": 3,
            },
        )
    finally:
        RECENT.use("c", [])
    assert line["count"] == 3
    assert "failed for" in line["event"]
    assert "canary" not in repr(line)
