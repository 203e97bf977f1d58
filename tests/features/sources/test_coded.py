"""Tables whose texts are read as codes have the rows of those that are read as texts."""

from __future__ import annotations

import datetime as dt
import gc
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import TableError
from features.snapshots import build_vectors
from features.sources import Database, coded, dictionaries, session, spool
from features.vectors import Vectors, feature_contract
from tests.features.catalogue.test_own_tables import FILES
from tests.features.equality.answers import differing
from tests.features.sources.company import Company, at, rows
from tests.files import write_files

Columns = Mapping[str, Any]
USAGE = "usage.parquet"


@pytest.fixture(autouse=True)
def some_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coded, "ROWS_A_TEXT", 0)
    monkeypatch.setattr(coded, "ROWS_AT_ONCE", 4)


def in_memory(_: pytest.MonkeyPatch) -> None:
    """Leave all as it is."""


def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every table of rows of accounts lie in files."""
    monkeypatch.setattr(session, "BYTES_A_STORED_ROW", 10**12)
    monkeypatch.setattr(spool, "ROWS_A_RANGE", 5)
    monkeypatch.setattr(spool, "ROWS_A_BATCH", 3)


anywhere = pytest.mark.parametrize("somewhere", [in_memory, in_files])
Somewhere = Callable[[pytest.MonkeyPatch], None]


def usage(**columns: Any) -> dict[str, Any]:
    """Ten rows, some columns of them otherwise."""
    occurred = [at("2025-01-01") + dt.timedelta(hours=number) for number in range(10)]
    named = {"usage_id": [f"u{number}" for number in range(10)], "account_id": ["a1", "a2"] * 5}
    return {**named, "occurred_at": occurred, "feature": ["x", "y"] * 5, **columns}


def wrote(company: Company, columns: Columns, file: str = USAGE, **options: Any) -> Company:
    """Write a file of row groups of four."""
    pq.write_table(pa.table(columns), company.folder / file, row_group_size=4, **options)
    return company


def one_file(company: Company, columns: Columns, **options: Any) -> Company:
    return wrote(company, columns, **options).path("usage", USAGE)


def two_files(company: Company, first: Columns, second: Columns) -> Company:
    again = {**second, "usage_id": [f"v{number}" for number in range(len(second["usage_id"]))]}
    return wrote(wrote(company, first, "usage1.parquet"), again, "usage2.parquet").path("usage", "usage*.parquet")


def in_use(company: Company, columns: Columns) -> Company:
    return wrote(company, columns).path("usage", USAGE, "begins = 2023-01-01")


def shown(database: Database, table: str) -> list[str]:
    """All rows as they are shown, in order."""
    found = database.engine.files.connection.sql(f'SELECT * FROM "{table}"').to_arrow_table()
    return sorted(repr(sorted(row.items())) for row in found.to_pylist())


def as_texts(company: Company, **options: Any) -> Database:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coded, "ROWS_WORTH_CODING", 10**9)
        return company.open(**options)


def as_codes(company: Company, **options: Any) -> Database:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coded, "ROWS_WORTH_CODING", 1)
        return company.open(**options)


def alike(company: Company, table: str = "usage", **options: Any) -> set[str]:
    """Compare all rows of a table; return which of its columns were stored as codes."""
    texts, codes = as_texts(company, **options), as_codes(company, **options)
    assert texts.coded == {}
    assert shown(codes, table) == shown(texts, table)
    assert codes.columns == texts.columns
    assert codes.observed_until == texts.observed_until
    assert {**codes.sizes, "accounts": 0} == {**texts.sizes, "accounts": 0}
    coverage = ("table", "account_id", "covered_from", "covered_to")
    assert rows(codes, "coverage", *coverage) == rows(texts, "coverage", *coverage)
    return set(codes.engine.dictionaries(table))


def said(company: Company, opened: Callable[[Company], Database]) -> str:
    with pytest.raises(TableError) as error:
        opened(company)
    return str(error.value)


SPACED = usage(
    feature=["x", " x ", "", "  ", None, "X", "x\t", "\n", "\u00a0x", "é"],
    user_id=[" m", "m ", "m", None, "", "n", "n ", "o", " ", "p"],
    actor=["person", "robot", None, " machine ", "", "person", "MACHINE", "machine", "person ", " "],
    account_id=["a1", " a1 ", "a2 ", "nobody", None, "", "a1", "A1", "a2", "a2"],
)


@anywhere
def test_texts_are_read_and_judged_as_without_codes(
    company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spaces around them, blanks, nulls; what the contract refuses, its default; accounts that nobody knows."""
    somewhere(monkeypatch)
    assert alike(one_file(company, SPACED)) == {"feature", "user_id", "actor"}


def test_texts_that_differ_by_spaces_alone_have_one_code(company: Company) -> None:
    database = as_codes(one_file(company, SPACED))
    assert sorted(database.in_codes("usage").dictionaries["user_id"].values) == ["m", "n", "o", "p"]


def test_a_column_of_codes_is_of_whole_numbers_and_null_where_nothing_is_said(company: Company) -> None:
    database = as_codes(one_file(company, usage(feature=["x", "y", None, " x", " "] * 2)))
    in_codes = database.in_codes("usage")
    found = database.connection.to_pyarrow(in_codes.rows.select("row_key", "feature")).to_pylist()
    values = in_codes.dictionaries["feature"].values
    read = {row["row_key"]: None if row["feature"] is None else values[row["feature"]] for row in found}
    assert read == dict(rows(database, "usage", "row_key", "feature"))
    assert values == ("x", "y")


@anywhere
@pytest.mark.parametrize("keys", [["u1", None], ["u1", " "]], ids=["null", "blank"])
def test_rows_without_a_key_are_read_as_texts(
    company: Company, keys: list[Any], somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    assert alike(one_file(company, usage(usage_id=["a", "b", "c", "d", "e", "f", *keys, "g", "h"]))) == set()
    nothing_is_left_of_codes(company, somewhere)


def nothing_is_left_of_codes(company: Company, somewhere: Somewhere) -> None:
    for database in company._opened:
        left = {path.name for path in database.engine.files.place.iterdir() if path.is_dir()}
        assert left == ({"usage by account"} if somewhere is in_files else set())


def test_a_key_without_its_column_or_of_several_columns_is_made_of_texts(company: Company) -> None:
    without = {name: values for name, values in usage().items() if name != "usage_id"}
    assert alike(one_file(company, without)) == set()
    since = [dt.date(2025, 1, 1)] * 2
    plans = {"plan": ["p", " q"], "feature": ["f", "f"], "valid_from": since}
    assert alike(company.parquet("plans", plans), "plans") == set()


@anywhere
def test_corrected_rows_change_their_texts_when_they_are_corrected(
    company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    recorded = [at("2025-02-01") + dt.timedelta(days=number) for number in range(10)]
    columns = usage(
        usage_id=["u1"] * 4 + ["u2"] * 4 + ["u3", "u3"],
        account_id=["a1", "a2", "a2", "nobody", *["a2"] * 6],
        recorded_at=recorded,
        feature=[f" f{number}" if number % 3 else None for number in range(10)],
        actor=["person", "machine"] * 5,
    )
    assert alike(one_file(company, columns)) == {"feature", "actor"}
    assert alike(company, truncated_at=at("2025-02-06 12:00")) == {"feature", "actor"}


def test_a_column_of_the_name_of_what_stores_texts(company: Company) -> None:
    recorded = [at("2025-02-01") + dt.timedelta(days=number) for number in range(4)]
    columns: dict[str, Any] = {
        "activity_id": ["k1", "k1", "k2", "k2"],
        "account_id": ["a1", " a2"] * 2,
        "text": ["hi", "ho"] * 2,
    }
    columns |= {"kind": ["post", "shout", "reply", None], "occurred_at": [at("2025-01-01")] * 4}
    company.parquet("community", {**columns, "recorded_at": recorded})
    assert alike(company, "community") == {"text", "kind"}


@anywhere
def test_a_table_without_rows(company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    somewhere(monkeypatch)
    company.says("observed_until = 2025-06-30")
    none = {name: pa.array([], pa.array(values).type) for name, values in usage().items()}
    assert alike(one_file(company, none)) == set()
    with pq.ParquetWriter(company.folder / USAGE, pa.table(none).schema):
        pass  # no row group
    assert alike(company) == set()


OTHERS = [
    at("1970-12-31 23:59:59.999999"),
    at("1971-01-01"),
    None,
    at("2199-12-31 23:59:59.999999"),
    at("2200-01-01"),
]
UUIDS = pa.array([uuid.UUID(int=number % 3).bytes for number in range(10)], pa.binary(16))
WEIRD = pa.array(["x", "y", " z ", None, ""] * 2)
IN_CODES: dict[str, Columns] = {
    "times of nanoseconds": usage(occurred_at=pa.array(OTHERS * 2, pa.timestamp("ns"))),
    "times of microseconds": usage(occurred_at=pa.array(OTHERS * 2, pa.timestamp("us"))),
    "times with a zone": usage(occurred_at=pa.array(usage()["occurred_at"], pa.timestamp("us", "Europe/Berlin"))),
    "dates": usage(occurred_at=[dt.date(2025, 1, 1)] * 10),
    "times in text": usage(occurred_at=["2025-01-01 10:00", "2025-01-02", "now", None, "2025-01-02T10:00Z"] * 2),
    "decimals": usage(quantity=[Decimal("1.50"), Decimal("-1"), None, Decimal("7"), Decimal("0.25")] * 2),
    "numbers": usage(quantity=[np.nan, np.inf, -np.inf, -1.0, None, 0.0, -0.0, 1e300, 5.0, 2.0]),
    "numbers in text": usage(quantity=["1", " 2.5 ", "many", None, "nan"] * 2),
    "keys of numbers": usage(usage_id=list(range(10))),
    "keys of floats": usage(usage_id=[number + 0.5 * (number > 5) for number in range(10)]),
    "a column of nulls": usage(user_id=pa.nulls(10)),
    "UUIDs": usage(user_id=pa.ExtensionArray.from_storage(pa.uuid(), UUIDS)),
    "bytes": usage(user_id=[b"x", b"\xff", b" y ", b"", None] * 2),
    "large texts": usage(user_id=WEIRD.cast(pa.large_string())),
    "accounts of large texts": usage(account_id=pa.array([" a1", "a2"] * 5, pa.large_string())),
    "categories": usage(user_id=WEIRD.dictionary_encode()),
    "zero bytes": usage(feature=["x\0y", "\0", "a", "", None] * 2),
}
AS_TEXTS: dict[str, Columns] = {
    "times of milliseconds": usage(occurred_at=pa.array(usage()["occurred_at"], pa.timestamp("ms"))),
    "accounts of categories": usage(account_id=pa.array([" a1", "a2"] * 5).dictionary_encode()),
}


@anywhere
@pytest.mark.parametrize("columns", [pytest.param(columns, id=name) for name, columns in IN_CODES.items()])
def test_other_columns_are_read_in_their_types_beside_codes(
    company: Company, columns: Columns, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    assert "feature" in alike(one_file(company, columns))


@pytest.mark.parametrize("columns", [pytest.param(columns, id=name) for name, columns in AS_TEXTS.items()])
def test_columns_that_have_no_codes_are_read_as_texts(company: Company, columns: Columns) -> None:
    assert alike(one_file(company, columns)) == set()


def test_times_of_96_bits(company: Company) -> None:
    assert alike(one_file(company, usage(), use_deprecated_int96_timestamps=True)) == set()


@anywhere
def test_several_files_share_their_codes(
    company: Company, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    somewhere(monkeypatch)
    other = usage(feature=["z", "y", None, " x", "w"] * 2)
    assert alike(two_files(company, usage(), dict(reversed(other.items())))) == {"feature"}


WITHOUT = {name: values for name, values in usage().items() if name != "feature"}
UNLIKE: dict[str, tuple[Columns, Columns]] = {
    "a column only in one": (usage(), WITHOUT),
    "a column in capitals": (usage(), {**WITHOUT, "Feature": ["x"] * 10}),
    "numbers of two types": (usage(quantity=[1] * 10), usage(quantity=[1.5] * 10)),
    "texts and categories": (usage(), usage(feature=WEIRD.dictionary_encode())),
}


@pytest.mark.parametrize(("first", "second"), UNLIKE.values(), ids=UNLIKE)
def test_files_unlike_one_another_are_read_as_texts(company: Company, first: Columns, second: Columns) -> None:
    assert alike(two_files(company, first, second)) == set()


def test_columns_go_by_the_names_that_sources_toml_gives_them(company: Company) -> None:
    columns = {**WITHOUT, "my": ["n", "m"] * 5, "my.feature": ["x", "y"] * 5}
    wrote(company, columns).path("usage", USAGE, 'columns = { feature = "my.feature", user_id = "my" }')
    assert alike(company) == {"feature", "user_id"}


def no_text(texts: pa.DataType) -> pa.Array:
    """A column in which the second text is none: its bytes are not UTF-8."""
    values = [b"ok", b"b\xff", *[b"ok"] * 8]
    large = pa.types.is_large_string(texts)
    plain = pa.array(values, pa.large_binary() if large else pa.binary())
    return pa.Array.from_buffers(texts, len(plain), plain.buffers())


@pytest.mark.parametrize("column", ["usage_id", "account_id", "feature"])
def test_bytes_that_are_no_text_are_told_as_without_codes(company: Company, column: str) -> None:
    one_file(company, usage(**{column: no_text(pa.string())}))
    assert said(company, as_codes) == said(company, as_texts)


@pytest.mark.parametrize("column", ["usage_id", "account_id", "feature"])
def test_bytes_that_are_no_text_lie_in_no_files(
    company: Company, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_files(monkeypatch)
    assert "is not valid UTF8" in said(one_file(company, usage(**{column: no_text(pa.string())})), as_codes)


def test_a_damaged_file_is_told_as_without_codes(company: Company) -> None:
    path = one_file(company, usage()).folder / USAGE
    whole = path.read_bytes()
    for damaged in (whole[:300] + bytes(100) + whole[400:], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert said(company, as_codes) == said(company, as_texts)


@anywhere
@pytest.mark.parametrize(
    ("module", "limit"), [(dictionaries, "MOST_TEXTS"), (coded, "MOST_ROWS_TOGETHER")], ids=["texts", "rows"]
)
def test_what_takes_more_than_it_saves_is_read_as_texts(
    company: Company, module: Any, limit: str, somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of texts that is found after the first rows were read."""
    somewhere(monkeypatch)
    one_file(company, usage(feature=["x", "y", "x", "y", "x", "z", "v", "w", "u", "t"]))
    monkeypatch.setattr(module, limit, 3)
    assert alike(company) == set()
    nothing_is_left_of_codes(company, somewhere)


def test_few_rows_or_texts_that_are_seldom_said_again_are_read_as_texts(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_file(company, usage(feature=[str(number) for number in range(10)]))
    assert not company.open().coded
    monkeypatch.setattr(coded, "ROWS_A_TEXT", 2)
    database = as_codes(company)
    assert (database.engine.dictionaries("usage"), sorted(rows(database, "usage", "account_id"))[0]) == ({}, "a1")


def test_csv_files_and_queries_are_read_as_texts(company: Company) -> None:
    one_file(company, usage())
    company.query("usage", "SELECT * FROM 'usage.parquet'")
    assert alike(company) == set()
    company.csv("usage", "usage_id,account_id,occurred_at\nu1,a1,2025-01-01\n")
    assert alike(company) == set()


def test_an_own_table_of_an_overlay(company: Company) -> None:
    own_table(company, "training_id")
    assert alike(company, "trainings") == {"topic"}


def own_table(company: Company, key: str) -> None:
    write_files(company.folder, {name: text.replace("training_id", key) for name, text in FILES.items()})
    tables = company.folder / "overlay/tables.toml"
    tables.write_text(tables.read_text("utf-8") + 'topic = { type = "text" }\n', encoding="utf-8")
    company.says("observed_until = 2025-06-30").section('[catalogue]\noverlay = "overlay"')
    recorded = [at("2025-06-03"), at("2025-06-04"), at("2025-06-03")]
    columns = {key: ["t1", "t1", "t2"], "account_id": ["a1", " a1", "a2"], "topic": ["x", " y", None]}
    columns |= {"held_at": [at("2025-06-02")] * 3, "hours": [1.0, 2.0, 3.0], "recorded_at": recorded}
    company.parquet("trainings", columns, "begins = 2024-01-01")


def test_a_column_that_is_there_twice_is_read_as_sources_toml_says(company: Company) -> None:
    twice = pa.table(usage()).append_column("feature", pa.array(["p", "q"] * 5))
    pq.write_table(twice, company.folder / USAGE)
    assert alike(company.path("usage", USAGE, 'columns = { feature = "feature" }')) == set()


def test_a_first_file_without_row_groups(company: Company) -> None:
    with pq.ParquetWriter(company.folder / "usage0.parquet", pa.table(usage()).schema):
        pass
    assert alike(two_files(company, usage(), usage(feature=["z", "y"] * 5))) == set()


# --- what is read of codes -------------------------------------------------------------------------------------


def vectors(database: Database) -> Vectors:
    catalogue = database.sources.catalogue
    accounts, days = ["a1", "a2"] * 2, [at("2025-01-02")] * 2 + [at("2025-01-15")] * 2
    grid = pa.table({"account_id": accounts, "as_of": pa.array(days, pa.timestamp("s"))})
    return build_vectors(database, catalogue, feature_contract(catalogue, {}), grid)


def test_filters_on_texts_that_no_row_has_find_none(company: Company) -> None:
    kinds = ["post", "post", "reply", None, "reply"] * 2
    columns = {"activity_id": [str(n) for n in range(10)], "account_id": ["a1", "a2"] * 5, "kind": kinds}
    columns |= {"member_id": ["m", "n", " m", "", None] * 2, "occurred_at": usage()["occurred_at"]}
    company.parquet("community", columns)
    in_use(company, usage(actor=["machine"] * 10))
    assert differing(vectors(as_codes(company)), vectors(as_texts(company))) == []


def test_databases_with_other_codes_have_their_own_queries(company_in: Callable[[str], Company]) -> None:
    """Texts of other codes; and columns that are codes in one of them alone."""
    first = in_use(company_in("first"), usage(user_id=["m", "n"] * 5, actor=["machine", "person"] * 5))
    other = usage(user_id=["n", "o", "m", "n", "o"] * 2, feature=["y", "z"] * 5, actor=["person", "machine"] * 5)
    second = in_use(company_in("second"), other)
    third = in_use(company_in("third"), {**other, "user_id": pa.array(other["user_id"]).dictionary_encode()})
    read = {name: as_codes(one) for name, one in {"first": first, "second": second, "third": third}.items()}
    assert "user_id" in read["second"].engine.dictionaries("usage")
    assert "user_id" not in read["third"].engine.dictionaries("usage")
    for company in (first, second, third, first):
        assert differing(vectors(as_codes(company)), vectors(as_texts(company))) == []


def test_a_table_with_blanked_columns_is_read_as_it_was_changed(company: Company) -> None:
    in_use(company, usage(actor=["machine", "person"] * 5, user_id=["m", "n"] * 5))
    texts, codes = as_texts(company), as_codes(company)
    whole, changed = vectors(codes), blanked(codes, "usage", "actor")
    assert set(codes.in_codes("usage").dictionaries) == {"actor", "feature", "user_id"}
    assert changed.in_codes("usage").dictionaries == {}
    assert differing(vectors(changed), vectors(blanked(texts, "usage", "actor"))) == []
    assert differing(vectors(changed), whole) != []
    assert differing(vectors(codes), whole) == []


def blanked(database: Database, table: str, column: str) -> Database:
    """As training blanks what shows only today's state."""
    changed = database.tables[table]
    blank = ibis.null(changed.schema()[column])
    return replace(database, tables={**database.tables, table: changed.mutate(**{column: blank})})


# --- what is left when it fails --------------------------------------------------------------------------------


def test_relations_that_are_read_from_are_there_no_longer(company: Company) -> None:
    for columns in (usage(), usage(usage_id=[*"abcdefgh", None, "i"])):
        found = as_codes(one_file(company, columns)).engine.files.rows("SELECT view_name FROM duckdb_views()")
        assert not [name for (name,) in found if name.startswith("_codes of") or name == "_typed"]


def test_nothing_is_left_of_reading_that_was_given_up(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its thread, nor the rows that it had read ahead."""
    made: list[weakref.ref[Any]] = []
    honest = coded._Files.__init__

    def noted(self: Any, *given: Any) -> None:
        made.append(weakref.ref(self))
        honest(self, *given)

    monkeypatch.setattr(coded._Files, "__init__", noted)
    before = set(threading.enumerate())
    many = {name: pa.array(values).take(pa.array([0] * 20_000)) for name, values in usage().items()}
    keys = [None, *map(str, range(19_999))]
    pq.write_table(pa.table({**many, "usage_id": keys}), company.folder / USAGE, row_group_size=100)
    database = as_codes(company.path("usage", USAGE))
    gc.collect()
    assert (database.engine.dictionaries("usage"), len(made)) == ({}, 1)
    assert [one for one in set(threading.enumerate()) - before if one.name.startswith("ThreadPoolExecutor")] == []
    assert made[0]() is None


# --- where pyarrow and DuckDB read files otherwise -------------------------------------------------------------


@pytest.mark.parametrize("names", ['user_id = "account_id"', 'actor = "feature"', 'feature = "usage_id"'])
def test_a_column_that_is_two_of_the_contract(company: Company, names: str) -> None:
    columns = usage(feature=["person", " machine", "robot", None, "person"] * 2)
    assert alike(wrote(company, columns).path("usage", USAGE, f"columns = {{ {names} }}")) == set()


@pytest.mark.parametrize(
    "quantity",
    [pa.array([Decimal("1.5")] * 10, pa.decimal256(50, 2)), pa.array(np.arange(10, dtype=np.float16))],
    ids=["decimals of 50 digits", "floats of 16 bits"],
)
def test_types_that_duckdb_reads_of_files_alone(company: Company, quantity: pa.Array) -> None:
    assert alike(one_file(company, usage(quantity=quantity))) == set()


def test_a_column_that_the_folders_name_is_theirs(company: Company) -> None:
    (company.folder / "feature=theirs").mkdir()
    assert (
        alike(wrote(company, usage(), "feature=theirs/usage.parquet").path("usage", "feature=*/usage.parquet"))
        == set()
    )


def test_files_of_another_folder_are_not_read(company_in: Callable[[str], Company]) -> None:
    """To a pattern `acme[1]` is `acme1`."""
    wrote(company_in("acme1"), usage(feature=["another's", "y"] * 5), "usage1.parquet")
    assert alike(wrote(company_in("acme[1]"), usage(), "usage1.parquet").path("usage", "usage*.parquet")) == {
        "feature"
    }


@pytest.mark.parametrize("key", ["code", "text"])
def test_a_key_of_the_name_of_what_stores_texts(company: Company, key: str) -> None:
    own_table(company, key)
    assert alike(company, "trainings") == {"topic"}


LARGE = no_text(pa.large_string())


@pytest.mark.parametrize("column", ["usage_id", "user_id"])
@pytest.mark.parametrize("texts", [LARGE, no_text(pa.string()).dictionary_encode()], ids=["large", "categories"])
def test_bytes_that_are_no_text_are_told_in_columns_without_codes(
    company: Company, column: str, texts: pa.Array
) -> None:
    one_file(company, usage(**{column: texts}))
    assert said(company, as_codes) == said(company, as_texts)


@pytest.mark.parametrize("texts", [LARGE, no_text(pa.string()).dictionary_encode()], ids=["large", "categories"])
def test_bytes_that_are_no_text_lie_in_no_files_of_columns_without_codes(
    company: Company, texts: pa.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_files(monkeypatch)
    assert "is not valid UTF8" in said(one_file(company, usage(user_id=texts)), as_codes)


def test_what_is_read_at_once_is_bounded_by_bytes(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts that are no codes: pieces of a few rows, and none at all where one row group is too large."""
    columns = usage(usage_id=[f"{number} {'x' * 1000}" for number in range(10)])
    in_use(company, columns)
    read = []
    honest = coded._Files._read
    monkeypatch.setattr(coded._Files, "_read", lambda self, *piece: read.append(piece) or honest(self, *piece))
    monkeypatch.setattr(coded, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(coded, "_SHARE", 2 * 10**9 // (8000 * coded.AT_ONCE))
    assert as_codes(company).engine.dictionaries("usage")
    assert len(read) > 1
    monkeypatch.setattr(coded, "_SHARE", 2 * 10**9 // (2000 * coded.AT_ONCE))
    assert not as_codes(company).engine.dictionaries("usage")
