"""The evaluation report as files: whole, readable, alike in both forms, and honest about what it cannot say."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.image import imread

from tests.training.conftest import snapshots_of
from tests.training.fabricated import Made, a_company
from training.recipe import Recipe
from training.report import Report, found_in_order, report_of
from training.report_files import as_html, as_markdown, report_files, write_files
from training.report_text import Bullets, Document, Picture, Section, Table, Text, document
from training.run import Proof, train
from training.segments import Segment

VOID = {"meta", "img", "link", "br", "hr"}
Tables = list[tuple[str, list[list[str]]]]


class Page(HTMLParser):
    """What a browser would find; a tag that is not closed in order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if self.open and self.open[-1] in ("th", "td"):
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def tables_of_markdown(text: str) -> list[list[list[str]]]:
    tables: list[list[list[str]]] = []
    for token, content in _pairs(MarkdownIt("commonmark").enable("table").parse(text)):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append("".join(child.content for child in content.children or []))
    return tables


def _pairs(tokens: list) -> list[tuple]:  # type: ignore[type-arg]
    return list(zip(tokens, [*tokens[1:], None], strict=True))


def tables_of(said: Document) -> list[list[list[str]]]:
    pieces = [piece for section in said.sections for piece in section.pieces if isinstance(piece, Table)]
    return [[list(piece.head), *(list(row) for row in piece.rows)] for piece in pieces]


def dated(proof: Proof, made: Made) -> Proof:
    """Add the moments at which accounts left, which a made company does not tell."""
    end = np.full(len(made.vectors), "NaT", dtype="datetime64[s]")
    for account in set(made.vectors.account_ids[made.churned == 1]):
        mine = made.vectors.account_ids == account
        end[mine] = made.vectors.as_of[mine].max() + np.timedelta64(14, "D")
    return replace(proof, snapshots=replace(proof.snapshots, event_at=end))


@pytest.fixture(scope="module")
def report(proof: Proof, company: Made) -> Report:
    return report_of(dated(proof, company))


def written(report: Report, folder: Path) -> Path:
    return write_files(report_files(report), folder)


@pytest.fixture(scope="module")
def folder(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(report, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def markdown(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


PLOTS = {"contest", "reliability", "lift", "bands", "lead_time", "register"}


def test_every_picture_is_there_and_decodes(folder: Path, page: Page, markdown: str) -> None:
    assert {path.stem for path in folder.glob("*.png")} == PLOTS
    assert set(re.findall(r"\]\((\w+)\.png\)", markdown)) == PLOTS
    images = page.all("img")
    assert len(images) == len(PLOTS)
    for image in images:
        address = image["src"] or ""
        assert address.startswith("data:image/png;base64,")
        height, width, _ = imread(io.BytesIO(base64.b64decode(address.partition(",")[2], validate=True))).shape
        assert height > 300
        assert width > 300
        assert len(image["alt"] or "") > 40


def test_the_page_stands_alone_and_is_accessible(page: Page, folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert page.all("html") == [{"lang": "en"}]
    assert not page.all("script")
    assert not page.all("link")
    assert "http" not in text
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in page.all("a")} <= {f"#{name}" for name in ids}
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell.get("scope") for cell in page.all("th"))


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_from_the_page(folder: Path) -> None:
    style = (folder / "report.html").read_text(encoding="utf-8").partition("<style>")[2].partition("</style>")[0]
    assert "background: #fff" in style
    colours = re.findall(r"(?<!-)color: #([0-9a-f]{6})", style)
    assert len(colours) >= 2
    assert all(1.05 / (luminance(colour) + 0.05) >= 4.5 for colour in colours)


def test_both_forms_have_every_cell_of_the_content(report: Report, page: Page, markdown: str) -> None:
    content = tables_of(document(report))
    assert len(content) > 10
    assert page.tables == content
    assert tables_of_markdown(markdown) == content


def test_both_forms_have_every_sentence_of_the_content(report: Report, page: Page, markdown: str) -> None:
    shown = "".join(
        child.content
        for token in MarkdownIt("commonmark").parse(markdown)
        if token.type == "inline"
        for child in token.children or []
    )
    said = document(report)
    pieces = [piece for section in said.sections for piece in section.pieces]
    sentences = [piece.text for piece in pieces if isinstance(piece, Text)]
    sentences += [item for piece in pieces if isinstance(piece, Bullets) for item in piece.items]
    for sentence in [said.verdict, *sentences]:
        assert sentence in shown
        assert sentence in page.text


def shown(document_: Document, caption: str) -> dict[str, list[str]]:
    pieces = [piece for section in document_.sections for piece in section.pieces if isinstance(piece, Table)]
    [table] = [piece for piece in pieces if piece.caption == caption]
    return {row[0]: list(row[1:]) for row in table.rows}


def test_the_numbers_shown_are_those_found(report: Report) -> None:
    said, final = document(report), report.final
    assert final is not None
    contest = shown(said, "Log loss and ranking")
    capacity = shown(said, "At the team's capacity")
    for name, scores in final.scores.items():
        low, high = scores.log_loss_interval
        assert contest[name][1] == f"{scores.log_loss:.4f} ({low:.4f} to {high:.4f})"
        if scores.lift is not None and scores.lift_interval is not None:
            low, high = scores.lift_interval
            assert capacity[name][0] == f"{scores.lift:.2f} ({low:.2f} to {high:.2f})"
    assert capacity["base_rate"] == ["–", "–", "–"]
    bands = shown(said, "Bands of the final block")
    assert [cells[0] for cells in bands.values()] == [f"{band.snapshots:,}" for band in final.bands]
    for row in report.register.rows:
        cells = shown(said, f"Verdict: {row.verdict}")[f"{report.names[row.id]} ({row.id})"]
        assert cells[0].startswith(f"{row.lift:.2f} (")
        assert cells[-1] == row.reason
    horizons = shown(said, "The other horizons")
    for one in final.horizons:
        assert horizons[str(one.days)][-1] == one.verdict
        assert (horizons[str(one.days)][2] == "–") == (one.said is None)
    firsts = shown(said, "Days from the first sign of the stay to notice or churn")
    assert firsts["any sign"][0].startswith(f"{report.register.firsts['any sign'].median_days:.0f} (")


def test_bands_and_contest_are_those_of_the_run(report: Report, proof: Proof) -> None:
    assert report.final is not None
    assert proof.contest is not None
    assert report.final.scores == proof.contest.scores
    assert report.final.bands == proof.contest.bands
    assert sum(band.snapshots for band in report.final.bands) == len(proof.contest.block)
    assert Bullets(tuple(proof.rule.text.splitlines())) in document(report).sections[-1].pieces
    assert report.final.horizons == proof.horizons
    check = proof.contest.intervals
    assert check is not None
    assert f"in {check.held} of {check.bins} bins" in text_of(document(report), "calibration")
    assert report.final.blend_minus["ridge"] == proof.contest.difference("blend", "ridge")
    for band in report.final.bands:
        if band.churned is not None:
            low, high = band.interval or (1.0, 0.0)
            assert low <= band.churned <= high


def test_the_same_run_gives_the_same_bytes(report: Report, proof: Proof, company: Made, folder: Path) -> None:
    again = report_files(report_of(dated(proof, company)))
    assert again == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("value", ["a|b <script>alert(1)</script>", "*bold* [x](y) `c`", "_new_ &lt; \\old\\"])
def test_a_companys_own_texts_stay_texts(report: Report, value: str) -> None:
    assert report.final is not None
    named = tuple(
        replace(segment, value=value) if segment.column == "plan" and segment.value == "pro" else segment
        for segment in report.final.segments
    )
    changed = replace(report, final=replace(report.final, segments=named))
    files = report_files(changed)
    found = Page(files["report.html"].decode())
    content = tables_of(document(changed))
    assert any(row[0] == value for table in content for row in table)
    assert not found.all("script")
    assert found.tables == content
    assert tables_of_markdown(files["report.md"].decode()) == content


@given(
    cell=st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \n|\\*_`<&[]#-!~"), max_size=20)
)
@example(cell="# 1. - + > a_b_ *c* \\| `d` &amp; <e> [f](g) ![h](i)")
@example(cell="__0__ a__b")
def test_any_text_of_a_company_is_shown_as_it_is(cell: str) -> None:
    said = Document("t", cell, (Section("s", cell, (Text(cell), Table("c", ("name", cell), (("x", cell),)))),))
    as_it_is = " ".join(cell.split())
    assert tables_of_markdown(as_markdown(said))[0] == [["name", as_it_is], ["x", as_it_is]]
    assert Page(as_html(said, {})).tables == [[["name", cell], ["x", cell]]]


def text_of(said: Document, section: str) -> str:
    [found] = [one for one in said.sections if one.id == section]
    return " ".join(piece.text for piece in found.pieces if isinstance(piece, Text))


def test_from_a_file_no_lead_time_is_told_and_the_reason_is(proof: Proof) -> None:
    found = report_of(proof)  # a made company tells no moments
    said = document(found)
    assert "cannot be said" in text_of(said, "lead")
    assert "cannot be said" in text_of(said, "bands")
    assert not [p for one in said.sections for p in one.pieces if isinstance(p, Picture) and p.name == "lead_time"]
    assert "lead_time.png" not in report_files(found)


def test_signs_that_were_never_known_are_named_in_a_sentence_and_fill_no_table(report: Report) -> None:
    rows = tuple(
        replace(row, coverage=0.0, lift=None, interval=None) if row.id == "nps_score" else row
        for row in report.register.rows
    )
    said = document(replace(report, register=replace(report.register, rows=rows)))
    assert "never known: NPS." in text_of(said, "register")
    assert not [row for table in tables_of(said) for row in table if row[0] == "NPS (nps_score)"]


def test_small_segments_are_named_with_the_reason_and_without_figures(report: Report) -> None:
    assert report.final is not None
    small = Segment("plan", "gold", 9, 3, 1, None, "3 accounts; wanted are 20")
    said = document(replace(report, final=replace(report.final, segments=(small,))))
    [section] = [one for one in said.sections if one.id == "segments"]
    assert Bullets(("gold: withheld, 3 accounts; wanted are 20.",)) in section.pieces
    assert not [piece for piece in section.pieces if isinstance(piece, Table)]


def test_a_history_too_short_to_prove_anything_gives_a_report_that_says_so(quick: Recipe) -> None:
    made = a_company(accounts=150, months=5, level=-3.0)
    found = report_of(train(snapshots_of(made), made.catalogue, quick))
    assert found.final is None
    said = document(found)
    assert {section.id for section in said.sections} == {"judged", "lead", "register", "gates", "data"}
    assert "nothing is proven" in text_of(said, "judged")
    files = report_files(found)
    assert "log loss" not in Page(files["report.html"].decode()).text
    assert set(files) <= {"report.html", "report.md", "register.png"}


def test_where_nobody_churned_no_share_of_them_is_made_up() -> None:
    assert np.isnan(found_in_order(np.zeros(3), np.array([0.1, 0.2, 0.3]))).all()


def test_a_final_block_without_churn_gives_dashes_and_no_made_up_figures(quick: Recipe) -> None:
    made = a_company(accounts=150, months=12, level=-3.0)
    last = np.unique(made.vectors.as_of[~np.isnan(made.churned)])[-3:]
    nobody = np.where(np.isin(made.vectors.as_of, last) & (made.churned == 1), 0.0, made.churned)
    recipe = quick.model_copy(update={"grid": quick.grid.model_copy(update={"final_months": 3})})
    found = report_of(train(replace(snapshots_of(made), churned=nobody), made.catalogue, recipe))
    said = document(found)
    assert found.final is not None
    assert found.final.churned_accounts == 0
    assert shown(said, "Log loss and ranking")["blend"][3:] == ["–", "–"]
    assert shown(said, "At the team's capacity")["blend"][0] == "–"
    assert "hold cannot be said: nobody churned" in text_of(said, "calibration")
    assert shown(said, "Share of churned snapshots found, the highest probability first")["blend"] == ["–"] * 5
    happened = [
        cells[2] for cells in shown(said, "The blend, in ten groups of equal size by what it said").values()
    ]
    assert all(cell.startswith("0.00% (0.00% to ") for cell in happened)
    assert not any(cell.endswith("to 0.00%)") for cell in happened)
    Page(report_files(found)["report.html"].decode())
