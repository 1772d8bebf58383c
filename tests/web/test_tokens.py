"""Bearer tokens: random, kept as a digest, and nothing that a stranger sends is an error of ours."""

import pytest

from failover.web.tokens import authenticate, new_token, token_digest
from tests.web.controllers import TOKENS, policy_with_tokens


def test_a_token_is_long_random_and_fits_into_a_header() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and token.isascii() and token.isprintable() for token in tokens)


def test_the_right_token_names_its_vantage_whatever_the_case_of_the_scheme() -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        entry = authenticate(policy_with_tokens(), "elsewhere", f"{scheme} {TOKENS['elsewhere']}")
        assert entry is not None
        assert entry.name == "elsewhere"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic x",
        "Bearer x",
        f"Bearer {token_digest(TOKENS['elsewhere'])}",
        "Bearer \udcff",
    ],
)
def test_anything_else_is_nobody(header: str) -> None:
    assert authenticate(policy_with_tokens(), "elsewhere", header) is None


def test_a_vantage_without_a_token_has_no_way_in() -> None:
    """The controller's own vantage sits in its process."""
    assert authenticate(policy_with_tokens(), "control", "Bearer ") is None
    assert authenticate(policy_with_tokens(), "control", "Bearer " + token_digest("")) is None
