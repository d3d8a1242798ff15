import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikesight.reports.page import embedded_json, picture, write_whole


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_embedded_json_reads_back_and_cannot_close_its_script(value: object) -> None:
    text = str(embedded_json(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_embedded_json_refuses_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embedded_json({"accuracy": float("nan")})


def test_a_picture_becomes_an_address_that_a_page_can_hold(tmp_path):
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")

    assert picture(tmp_path / "dot.png") == "data:image/png;base64,iVBORw=="


def test_a_page_is_written_whole_and_leaves_nothing_else(tmp_path):
    write_whole(tmp_path / "new" / "page.html", "<p>é</p>")

    assert [file.name for file in (tmp_path / "new").iterdir()] == ["page.html"]
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == "<p>é</p>"
