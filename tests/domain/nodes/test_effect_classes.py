"""The promise of docs/effect-classes.md is what the nodes declare."""

from linkflow.effect_docs import PAGE, page, rows


def test_the_page_says_what_the_nodes_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python -m linkflow.effect_docs"


def test_what_the_method_and_the_key_decide() -> None:
    http = {says: effect for name, says, effect in rows() if name == "http"}
    assert (http["GET"], http["PUT"], http["POST"]) == ("read", "idempotent", "unsafe")
    assert http["POST with an Idempotency-Key header"] == "idempotent"
    assert "GET with an Idempotency-Key header" not in http
