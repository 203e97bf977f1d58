"""`GET /accounts`, its filters and pages; the HTML pages; languages."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.company import Company
from serving.schemas import BookPage, ModelSummary
from tests.features.sources.company import Company as WrittenCompany
from tests.features.sources.company import at
from tests.serving.company import IN_FORCE, LEAVING, LEFT, ODD_ID, TROUBLED, TROUBLED_NAME, UNSEEN, WELL
from tests.serving.conftest import desk_of

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def listed(client: TestClient, **query: Any) -> dict[str, Any]:
    response = client.get("/accounts", params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    BookPage.model_validate(page)
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [row["account_id"] for row in page["accounts"]]


class TestTheList:
    def test_it_holds_every_account_in_force_and_no_other(self, client: TestClient) -> None:
        page = listed(client)
        assert sorted(ids(page)) == sorted(IN_FORCE)
        assert LEFT not in ids(page)
        assert page["total"] == len(IN_FORCE)

    def test_it_is_ranked_by_value_at_risk_among_those_that_can_be_kept(self, client: TestClient) -> None:
        rows = listed(client)["accounts"]
        assert rows[0]["account_id"] == TROUBLED
        keepable = [row for row in rows if row["account_id"] not in (ODD_ID, LEAVING, UNSEEN)]
        at_risk = [row["arr_at_risk"] for row in keepable]
        assert at_risk == sorted(at_risk, reverse=True)

    def test_a_passed_deadline_comes_after_and_notice_given_comes_last(self, client: TestClient) -> None:
        assert ids(listed(client))[-2:] == [ODD_ID, LEAVING]

    def test_a_deadline_has_passed_of_contracts_in_force_with_an_end_or_without(self, tmp_path: Path) -> None:
        rows = (
            "ends,2024-01-01,2025-12-31,2025-06-01,2024-01-01",
            "open,2024-01-01,,2025-06-01,2024-01-01",
            "ahead,2024-01-01,,2025-08-01,2024-01-01",
            "ended,2024-01-01,2025-06-30,2025-06-01,2024-01-01",
            "later,2025-07-02,,2025-06-01,2024-01-01",
            "not yet known,2024-01-01,,2025-06-01,2025-07-02",
        )
        contracts = "account_id,start_date,end_date,notice_deadline,recorded_at\n" + "\n".join(rows)
        accounts = "\n".join(["account_id", *(row.split(",")[0] for row in rows)])
        written = WrittenCompany(tmp_path).csv("accounts", accounts).csv("contracts", contracts)
        company = Company(written.load(), often=False)
        assert company.past_deadline(at("2025-07-01")) == {"ends", "open"}
        company.close()

    def test_value_at_risk_is_probability_times_yearly_value(self, client: TestClient) -> None:
        for row in listed(client)["accounts"]:
            if row["arr"] is None:
                assert row["arr_at_risk"] is None
            else:
                assert row["arr_at_risk"] == row["arr"] * row["churn_probability"]

    def test_it_shows_the_numbers_that_the_answer_has(self, client: TestClient) -> None:
        row = next(row for row in listed(client)["accounts"] if row["account_id"] == TROUBLED)
        answer = client.get(f"/accounts/{TROUBLED}").json()
        for key in ("churn_probability", "interval", "band", "health_score", "coverage", "stage", "under_notice"):
            assert row[key] == answer[key], key
        assert sorted(row["signs"]) == sorted(sign["id"] for sign in answer["signs"])

    def test_it_is_paged(self, client: TestClient) -> None:
        whole = ids(listed(client))
        assert ids(listed(client, limit=4)) == whole[:4]
        assert ids(listed(client, limit=4, offset=8)) == whole[8:]
        beyond = listed(client, offset=1000)
        assert (beyond["accounts"], beyond["total"]) == ([], len(whole))

    def test_it_is_filtered_by_manager_band_and_sign(self, client: TestClient) -> None:
        assert set(ids(listed(client, csm="Ben"))) == {WELL, ODD_ID}
        assert TROUBLED in ids(listed(client, band="unhealthy"))
        assert WELL not in ids(listed(client, band="unhealthy"))
        assert ids(listed(client, sign="open_complaints")) == [TROUBLED]
        assert listed(client, csm="Nobody")["total"] == 0

    def test_empty_filters_of_the_form_mean_all(self, client: TestClient) -> None:
        assert listed(client, csm="", band="", sign="")["total"] == len(IN_FORCE)


class Tags(HTMLParser):
    """Notes every tag, and that each is closed."""

    VOID = frozenset({"meta", "input", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read_tags(page: str) -> set[str]:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags.seen


class TestTheAccountPage:
    def test_it_says_all_that_the_answer_says(self, client: TestClient) -> None:
        answer = client.get(f"/accounts/{TROUBLED}").json()
        page = client.get(f"/accounts/{TROUBLED}", headers=BROWSER)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        text = html.unescape(page.text)
        said = [answer["headline"], answer["combination"]["sentence"]]
        said += [sign["sentence"] for sign in answer["signs"]]
        said += [action["sentence"] for action in answer["actions"]]
        said += [found["sentence"] for found in answer["opportunities"]]
        said += [row["text"] for sign in answer["signs"] for row in sign["evidence"]]
        assert [sentence for sentence in said if sentence not in text] == []

    def test_names_and_quotations_cannot_become_markup(self, client: TestClient) -> None:
        for path in (f"/accounts/{TROUBLED}", "/accounts"):
            page = client.get(path, headers=BROWSER).text
            assert html.escape(TROUBLED_NAME, quote=False).replace('"', "&#34;") in page
            assert {"script", "img"}.isdisjoint(read_tags(page))

    def test_no_script_and_no_foreign_style_may_run(self, client: TestClient) -> None:
        policy = client.get(f"/accounts/{TROUBLED}", headers=BROWSER).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.search(r"style-src 'sha256-[A-Za-z0-9+/=]{44}'", policy)
        assert " style=" not in client.get(f"/accounts/{TROUBLED}", headers=BROWSER).text

    def test_the_shown_points_add_up_to_the_shown_probability(self, client: TestClient) -> None:
        for account in (TROUBLED, WELL, UNSEEN):
            page = client.get(f"/accounts/{account}", headers=BROWSER).text
            table = page.partition('<table aria-labelledby="parts">')[2].partition("</table>")[0]
            cells = re.findall(r'<td class="number">([^<]+)</td>', table)
            points = [float(cell.replace("−", "-")) for cell in cells]
            assert sum(points[:-1]) == pytest.approx(points[-1], abs=1e-9)
            assert len(points) >= 2

    def test_its_language_is_marked_and_its_tables_are_labelled(self, client: TestClient) -> None:
        page = client.get(f"/accounts/{TROUBLED}?lang=zh", headers=BROWSER).text
        assert '<html lang="zh">' in page
        assert "有投诉" in page
        assert page.count("<h1>") == 1
        assert 'scope="col"' in page

    def test_an_account_without_a_name_is_called_by_its_id(self, client: TestClient) -> None:
        assert f"<h1>{UNSEEN}</h1>" in client.get(f"/accounts/{UNSEEN}", headers=BROWSER).text

    def test_json_is_what_everybody_else_gets(self, client: TestClient) -> None:
        for accept in ("application/json", "*/*", "application/json, text/html;q=0.9"):
            response = client.get(f"/accounts/{WELL}", headers={"accept": accept})
            assert response.headers["content-type"] == "application/json"


class TestTheListPage:
    def test_every_link_to_an_account_leads_there(self, client: TestClient) -> None:
        page = client.get("/accounts", headers=BROWSER).text
        links = re.findall(r'<a href="(/accounts/[^"]+)"', page)
        assert len(links) == len(IN_FORCE)
        for link in links:
            assert client.get(html.unescape(link)).status_code == 200

    def test_the_pages_before_and_after_are_linked(self, client: TestClient) -> None:
        page = client.get("/accounts?limit=4&offset=4&csm=", headers=BROWSER).text
        before, after = (
            html.unescape(re.findall(rf'rel="{rel}" href="([^"]+)"', page)[0]) for rel in ("prev", "next")
        )
        whole = ids(listed(client))
        assert ids(client.get(before).json()) == whole[:4]
        assert ids(client.get(after).json()) == whole[8:]

    def test_the_filters_are_a_form_that_works_without_script(self, client: TestClient) -> None:
        page = client.get("/accounts?csm=Ben", headers=BROWSER).text
        assert '<option value="Ben" selected>' in page
        assert '<form class="filters" method="get" action="/accounts">' in page
        assert f"/accounts/{TROUBLED}" not in page
        read_tags(page)


class TestLanguages:
    def test_the_query_wins_over_the_header(self, client: TestClient) -> None:
        chinese = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}
        path = f"/accounts/{WELL}"
        assert "通常" in client.get(path, headers=chinese).json()["headline"]
        assert "usual" in client.get(f"{path}?lang=en", headers=chinese).json()["headline"]
        assert "usual" in client.get(path).json()["headline"]
        assert "通常" in client.post("/predict?lang=zh", json={"account_id": WELL}).json()["headline"]

    def test_numbers_do_not_depend_on_the_language(self, client: TestClient) -> None:
        english, chinese = (client.get(f"/accounts/{TROUBLED}?lang={lang}").json() for lang in ("en", "zh"))
        assert english["churn_probability"] == chinese["churn_probability"]
        assert english["contributions"] == chinese["contributions"]
        assert english["headline"] != chinese["headline"]


class TestAbout:
    def test_the_catalogue_lists_what_may_be_posted(self, client: TestClient) -> None:
        document = client.get("/catalogue").json()
        assert document["definitions"]["signals"]["usage_trend"]["name"] == "usage trend"
        assert document["policy"]["signals"]["usage_trend"]["edges"]["healthy"] == 0.9
        assert {"partnership"} <= set(document["definitions"]["factors"])

    def test_the_model_says_which_one_it_is(self, client: TestClient) -> None:
        document = client.get("/model").json()
        ModelSummary.model_validate(document)
        assert document["model"] == client.get(f"/accounts/{WELL}").json()["versions"]["model"]
        assert "A model for tests" in document["model_card"]
        assert document["refused"] is None

    def test_health_and_readiness(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "ready"
        assert f"{len(IN_FORCE)} accounts" in ready.json()["detail"]

    def test_the_book_is_scored_by_the_model_in_use(self, client: TestClient) -> None:
        assert listed(client)["model"] == desk_of(client).model_summary()["model"]
