import json
import re
from pathlib import Path

import pandas as pd
import pytest

from example_run import write_run
from page_reading import EVIL, data_of, markup_of
from spikesight.errors import RunDirectoryError
from spikesight.records.run_record import read_run
from spikesight.reports.numbers import points
from spikesight.reports.report import render, write_report


def test_write_report_writes_one_page_into_the_run_directory(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    path = write_report(run)
    assert path == run / "report.html"
    assert not list(run.glob("*.tmp")) + list(run.glob(".*.tmp"))


def test_the_header_puts_question_data_and_answer(tmp_path: Path) -> None:
    markup = markup_of(render(read_run(write_run(tmp_path / "run"))))
    header = re.sub(r"<[^>]+>|\s+", " ", markup[markup.index("<header>") : markup.index("</header>")])
    assert "Which frame of natural_scenes was shown?" in header
    assert re.search(r"\d\d\.\d\s% +of test trials are decoded correctly by +fa-lda", header)
    assert re.search(r"95\s% interval \d\d\.\d to \d\d\.\d\s%", header)
    assert re.search(r"most frequent class, is 8\.3\s%", header)
    assert re.search(r"oracle.*reaches \d\d\.\d\s%", header)
    assert "40 units in VISp, LGd, CA1 of session session 0; 360 trials of 12 classes" in header
    assert "blanks a class of their own" in header


def test_the_table_holds_every_row_with_interval_and_chance(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path / "run"))
    markup = markup_of(render(record))
    board = markup[markup.index('<table class="board"') : markup.index("</table>")]
    assert board.count("<tr") == 1 + len(record.per_session)
    for row in record.per_session.itertuples():
        assert f"{100 * row.accuracy:.1f}" in board
        assert f"{100 * row.low:.1f}&#8202;&ndash;&#8202;{100 * row.high:.1f}" in board
    assert "They cover the sampling of test trials only" in re.sub(r"\s+", " ", markup)


def test_the_table_holds_the_difference_of_every_row_to_the_best(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path / "run"))
    board = markup_of(render(record)).replace("\N{MINUS SIGN}", "-")
    assert '<th scope="col" data-key="minus" class="n">minus best [95 %]</th>' in board
    names = ["minus_best", "minus_best_low", "minus_best_high"]
    differences = 100 * record.per_session[names].dropna().to_numpy()
    assert len(differences) == len(record.per_session) - 1
    for values in differences:
        assert "{} [{}, {}]".format(*map(points, values / 100)).replace("\N{MINUS SIGN}", "-") in board


def test_the_card_says_what_was_left_out_and_why(tmp_path: Path) -> None:
    markup = re.sub(r"<[^>]+>", "", markup_of(render(read_run(write_run(tmp_path / "run")))))
    for words in ("quality: 12", "isi_violations_maximum: 3", "invalid times: 2", "Filters: quality = good"):
        assert words in markup


def test_a_panel_without_data_is_left_out_with_its_reason(tmp_path: Path) -> None:
    page = render(read_run(write_run(tmp_path / "run", panels=False)))
    assert "Raster left out: the file holds spike counts, not spike times." in page
    assert "Mean rate per area left out: the file holds spike counts, not spike times." in page
    assert 'data-plot="raster"' not in markup_of(page)
    assert 'data-plot="rates"' not in markup_of(page)


def test_the_confusion_matrix_counts_the_predictions(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path / "run"))
    confusion = data_of(render(record))["sessions"][0]["confusion"]
    assert confusion["labels"] == [str(label) for label in range(12)]
    row = confusion["rows"][confusion["first"]]
    assert (row["decoder"], row["selection"]) == ("fa-lda", "tuned")
    cells = [row["cells"][at : at + 3] for at in range(0, len(row["cells"]), 3)]
    own = record.predictions.query("decoder == 'fa-lda' and selection == 'tuned'")
    assert sum(n for _, _, n in cells) == len(own)
    assert sum(n for shown, decoded, n in cells if shown == decoded) == own["correct"].sum()


def test_confusion_matrices_beyond_the_budget_are_left_out_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spikesight.reports.confusion.MOST_CELLS", 150)
    page = render(read_run(write_run(tmp_path / "run")))
    confusion = data_of(page)["sessions"][0]["confusion"]
    assert len(confusion["rows"]) + confusion["left_out"] == 8
    assert confusion["rows"]
    assert f"{confusion['left_out']} more are in predictions.parquet" in page


def test_several_sessions_have_a_mean_leaderboard_and_a_chooser(tmp_path: Path) -> None:
    page = render(read_run(write_run(tmp_path / "run", n_sessions=3)))
    assert "Leaderboard, mean over 3 sessions" in page
    assert re.findall(r'<option value="(\d)">session \d', page) == ["0", "1", "2"]
    assert [row["n_sessions"] for row in data_of(page)["groups"][0]["overSessions"]] == [3] * 8


def test_failed_cells_are_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    failure = {"session": "a", "decoder": "lda", "selection": "tuned", "fold": 1, "error": f"singular {EVIL}"}
    (run / "failures.json").write_text(json.dumps([failure]))
    page = render(read_run(run))
    assert "a, lda (tuned), fold 1: singular &lt;/script&gt;" in page


def test_a_session_of_which_nothing_finished_is_left_out_beside_the_others(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n_sessions=3)
    for name in ("results.parquet", "predictions.parquet"):
        table = pd.read_parquet(run / name)
        table[table["session"] != "session 1"].to_parquet(run / name, index=False)
    page = render(read_run(run))
    assert [session["id"] for session in data_of(page)["sessions"]] == ["session 0", "session 2"]
    assert "Leaderboard, mean over 2 sessions" in page


def test_a_difference_over_two_sessions_has_no_interval_and_says_how_many_they_are(tmp_path: Path) -> None:
    markup = markup_of(render(read_run(write_run(tmp_path / "run", n_sessions=2))))
    assert "(n = 2)" in markup
    assert "Student's t with one degree of freedom says nothing" in markup
    assert "(n = 3)" not in markup_of(render(read_run(write_run(tmp_path / "three", n_sessions=3))))


def test_a_run_of_references_alone_has_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("example_run.REACHED", {"chance": 0.1})
    assert "Only references were run." in markup_of(render(read_run(write_run(tmp_path / "run"))))


def test_every_string_of_a_file_is_escaped_in_html_and_in_json(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", stimulus=EVIL, area=EVIL, label=f"{EVIL} {{}}", session=f"{EVIL} {{}}")
    page = render(read_run(run))
    assert EVIL not in page
    assert "<img" not in markup_of(page)
    data = data_of(page)
    assert data["sessions"][0]["id"] == f"{EVIL} 0"
    assert data["sessions"][0]["raster"]["units"][0][1] == EVIL


def test_the_page_names_no_address_to_load_from(tmp_path: Path) -> None:
    markup = markup_of(render(read_run(write_run(tmp_path / "run"))))
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', markup)
    assert "@import" not in markup
    assert "url(" not in markup


def test_the_data_of_one_session_stays_small(tmp_path: Path) -> None:
    page = render(read_run(write_run(tmp_path / "run", n_classes=119, n_trials=5950)))
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert len(found.group(1)) < 2e6


def test_a_folder_that_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"has no config\.yaml"):
        write_report(tmp_path)


def test_a_run_that_was_stopped_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "results.parquet").unlink()
    with pytest.raises(RunDirectoryError, match="Start it again"):
        write_report(run)


@pytest.mark.parametrize(
    "name",
    ["candidates.parquet", "results.parquet", "predictions.parquet", "config.yaml", "sessions.json", "provenance.json"],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", searched=("lda",))
    (run / name).write_text("{[")
    with pytest.raises(RunDirectoryError, match=re.escape(name)):
        write_report(run)


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="cannot write the report"):
        write_report(run, tmp_path / "file" / "report.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunDirectoryError, match="cannot write the report"):
        write_report(run, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "run"]
