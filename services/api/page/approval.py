"""The page that asks a person: one static form, no scripts, no cookies, nothing from elsewhere."""

import hashlib
from base64 import b64encode
from html import escape
from typing import Final

CONTENT_TYPE: Final = b"text/html; charset=utf-8"
_STYLE = """
body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 0; color: #1b1b1f; background: #f6f6f8; }
main { max-width: 36rem; margin: 10vh auto; padding: 2rem; background: #fff; border-radius: .5rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
p { white-space: pre-wrap; overflow-wrap: anywhere; }
label { display: block; margin: 1.5rem 0 .25rem; }
textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; border: 1px solid #6b6b76; }
button { font: inherit; padding: .6rem 1.4rem; margin: 1rem 1rem 0 0; border: 2px solid; border-radius: .3rem; }
button[value=approved] { background: #0a6b2e; border-color: #0a6b2e; color: #fff; }
button[value=rejected] { background: #fff; border-color: #a11; color: #a11; }
:focus-visible { outline: 3px solid #1a5fd0; outline-offset: 2px; }
"""
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = ((b"content-security-policy", _POLICY.encode()), (b"x-frame-options", b"DENY"))

_FORM = """<form method="post">
<label for="comment">Comment (optional)</label>
<textarea id="comment" name="comment" rows="3" maxlength="10000"></textarea>
<button name="decision" value="approved">Approve</button>
<button name="decision" value="rejected">Reject</button>
</form>
"""


def approval_page(title: str, message: str, *, form: bool = False) -> str:
    """The page as HTML. Both texts are a user's data and stand there as text."""
    shown = f"<p>{escape(message)}</p>\n" if message else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{shown}{_FORM if form else ''}</main>\n</body>\n</html>\n"
    )
