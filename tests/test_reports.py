"""Does what a worker reports of a test reach the session, whatever stands in it?"""

from __future__ import annotations

import execnet

from tests.conftest import in_utf8


def test_half_a_surrogate_pair_in_a_report_ends_no_worker() -> None:
    report = {
        "longrepr": {"reprcrash": ["half \ud800", 3, None]},
        "sections": [("Captured stdout", "\udfff")],
        "\ud800": 1,
    }
    sent = execnet.loads(execnet.dumps(in_utf8(report)))
    assert sent["longrepr"] == {"reprcrash": ["half \\ud800", 3, None]}
    assert sent["sections"] == [("Captured stdout", "\\udfff")]
