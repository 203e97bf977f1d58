"""The desk: what the service's endpoints ask. It opens everything in the background and keeps it fresh.

Stages: catalogue and model first (posted readings can be answered), then the sources (accounts by id), then the
book (lists). Each is one reference, assigned once it is whole; a request takes the references once.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog

from features.catalogue import Catalogue, load_catalogue
from features.clock import now
from features.errors import KeepsightError, NoModelError, ReadingError, SourcesError
from features.now import keep_what_is_loaded
from features.sources import load_sources
from features.vectors import FeatureContract, Vectors, feature_contract
from models.bundle import Bundle
from models.decision import HORIZON_WITHOUT_MODEL_DAYS, decide
from models.explanation import NO_FACTS, AccountFacts, answer
from serving.answers import explained, new_prediction_id
from serving.book import Book, book_page, scored
from serving.company import Company
from serving.problems import NOT_READY, RequestProblem
from serving.readings import vectors_of
from serving.registry import Champion, fetch_champion
from serving.schemas import Question
from serving.settings import Settings

RETRY_SECONDS = "2"
RETRY_OPENING_SECONDS = 30.0
REGISTRY_REST_SECONDS = 60.0  # after it has failed
STOP_SECONDS = 20
log = structlog.get_logger()
There = TypeVar("There")


class Desk:
    """Answers questions about accounts. Safe to ask from many threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.champion: Champion | None = None
        self._company: Company | None = None
        self._retired: Company | None = None
        self._book: Book | None = None
        self._failure: KeepsightError | None = None
        self._progress = (0, 0)
        self._refreshing = False
        self._opened_at = 0.0
        self._registry_rests_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    # --- the background ---

    def start(self) -> None:
        """Begin to open catalogue, model, sources and book, and return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking for what is new, and close the sources."""
        self._stop.set()
        if self._company is not None:
            self._company.interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_SECONDS)
        for company in (self._company, self._retired):
            if company is not None:
                company.close()

    def _run(self) -> None:
        self._attempt(self._open)
        while not self._stop.wait(self.settings.champion_poll_seconds):
            self._attempt(self._look_again)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except KeepsightError as error:
            if str(error) != str(self._failure) and not self._stop.is_set():
                log.error("cannot go on", reason=str(error))
            self._failure = error
        except RequestProblem as busy:  # with requests; the next look tries again
            log.warning("put off", reason=str(busy.detail))
        except Exception as error:
            if self._stop.is_set():
                return  # the query was interrupted
            log.exception("unexpected error in the background")
            self._failure = KeepsightError(f"An unexpected error: {type(error).__name__}. The log has more.")

    def _open(self) -> None:
        self._opened_at = time.monotonic()
        sources = None if self.settings.sources is None else load_sources(self.settings.sources)
        if self.champion is None:
            catalogue = load_catalogue() if sources is None else sources.catalogue
            named, ours = self.settings.bundle, self.settings.champion_folder
            company = None if sources is None else sources.config.company
            champion = Champion(named or ours, catalogue, trusted=named is None, company=company)
            champion.look()
            self.champion = champion
        if sources is None:
            return
        fresh = Company(sources.with_catalogue(self.champion.catalogue), often=True)
        if self._company is None:
            self._company = fresh
        try:
            book = self._new_book(fresh, self.champion.bundle)
        except BaseException:
            if self._company is not fresh:
                fresh.close()
            raise
        keep_what_is_loaded()  # before anybody is told that answers are ready
        self._book = book
        if self._company is not fresh:
            self._retire(self._company)
            self._company = fresh

    def _retire(self, company: Company) -> None:
        """Close the company before last: requests under way may still ask the last one."""
        if self._retired is not None:
            self._retired.close()
        self._retired = company

    def _look_again(self) -> None:
        settings, champion = self.settings, self.champion
        if champion is None or time.monotonic() - self._opened_at > self._seconds_until_opened_again():
            self._open()
            return
        if settings.registry_uri is not None and settings.bundle is None:
            self._fetch(settings.registry_uri)
        swapped = champion.look()
        if self._company is not None and (swapped or self._book_is_behind(champion.bundle)):
            self._book = self._new_book(self._company, champion.bundle)

    def _book_is_behind(self, bundle: Bundle | None) -> bool:
        """Tell whether another model scored the book: the last attempt to score it anew failed."""
        version = None if bundle is None else bundle.version
        return self._book is not None and self._book.model != version

    def _seconds_until_opened_again(self) -> float:
        if self.settings.refresh_minutes is not None:
            return 60.0 * self.settings.refresh_minutes
        waits = self.settings.sources is not None and self._book is None
        return RETRY_OPENING_SECONDS if waits else math.inf

    def _fetch(self, registry_uri: str) -> None:
        if time.monotonic() < self._registry_rests_until:
            return
        try:
            fetch_champion(registry_uri, self.settings.registry_model, self.settings.champion_folder)
        except KeepsightError as error:
            self._registry_rests_until = time.monotonic() + REGISTRY_REST_SECONDS
            log.warning("registry not used", reason=str(error))

    def _new_book(self, company: Company, bundle: Bundle | None) -> Book:
        started = time.monotonic()
        as_of, known = company.moment(None, now()), self._book
        contract = company.contract(bundle, as_of)
        self._refreshing = known is not None
        try:
            if known is not None and known.is_for(company, as_of, contract):
                vectors = known.vectors  # only the model is new
            else:
                vectors = company.vectors(company.in_force(as_of), contract, self._note_progress)
            book = scored(vectors, as_of, bundle, company)
        finally:
            self._refreshing = False
        self._failure = None
        log.info("book scored", accounts=len(book.order), seconds=round(time.monotonic() - started, 1))
        return book

    def _note_progress(self, done: int, total: int) -> None:
        self._progress = (done, total)
        if self._stop.is_set():
            raise KeepsightError("The service is stopping.")

    # --- questions ---

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self._there(self.champion, "The catalogue and the model are being read.").catalogue

    @property
    def company(self) -> Company:
        """The company's sources.

        Raises
        ------
        SourcesError
            The service runs without sources.
        """
        if self.settings.sources is None:
            raise SourcesError(
                "This service runs without a company's sources: it answers readings that are posted. "
                "Start it with `keepsight serve --sources …`, or post readings, factors or context."
            )
        return self._there(self._company, "The company's sources are being opened.")

    @property
    def book(self) -> Book:
        """All accounts, scored."""
        done, total = self._progress
        self.company  # noqa: B018 - says so when there are no sources
        return self._there(self._book, f"The book is being scored: {done} of {total} accounts.")

    def _there(self, thing: There | None, otherwise: str) -> There:
        if thing is not None:
            return thing
        if self._failure is not None:
            raise self._failure
        raise RequestProblem(NOT_READY, otherwise, {"Retry-After": RETRY_SECONDS})

    def readiness(self) -> dict[str, Any]:
        """Tell how far the service has come."""
        done, total = self._progress
        bundle = self.champion.bundle if self.champion else None
        if self.settings.sources is None:
            status, detail = ("ready", "no sources") if self.champion else ("starting", "reading the catalogue")
        elif self._book is not None:
            status = "refreshing" if self._refreshing else "ready"
            detail = f"{len(self._book.order)} accounts scored as of {self._book.as_of:%Y-%m-%d %H:%M}"
        else:
            status, detail = "starting", "opening the sources" if not total else "scoring the book"
        if self._failure is not None:
            status, detail = ("failed" if status == "starting" else status), str(self._failure)
        return {
            "status": status,
            "detail": detail,
            "accounts_done": done,
            "accounts_total": total,
            "model": bundle.version if bundle else None,
        }

    def answer_question(self, question: Question, lang: str) -> dict[str, Any]:
        """Answer `/predict`, in either form; raises what :meth:`answer_given` and :meth:`answer_account` do."""
        return self.answer_given(question, lang) if question.is_given else self.answer_account(
            question.account_id, question.as_of, lang
        )  # fmt: skip

    def answer_account(self, account_id: str, as_of: dt.datetime | None, lang: str) -> dict[str, Any]:
        """Answer about an account of the company, computed from its sources as known at `as_of`.

        Without `as_of`: now, or where the history ends if that is earlier.

        Raises
        ------
        UnknownAccountError
            No such account, or none in force then.
        ReadingError
            `as_of` lies in the future.
        SourcesError, NoModelError
            The service runs without sources; the model that it was started with is not there.
        RequestProblem
            Not ready yet, or busy for too long.
        """
        company, bundle = self.company, self._bundle()
        moment = company.moment(as_of, now())
        vector = self._vector(company, account_id, moment, company.contract(bundle, moment))
        return explained(company, bundle, vector, lang)

    def answer_given(self, question: Question, lang: str) -> dict[str, Any]:
        """Answer about readings that the caller gives; nothing of the sources is looked at but the name.

        Raises
        ------
        ReadingError
            A name that the catalogue does not have, a value that cannot be, or `as_of` in the future.
        NoModelError
            The model that the service was started with is not there.
        RequestProblem
            Not ready yet.
        """
        catalogue, bundle = self.catalogue, self._bundle()
        given = question.given(now())
        company = self._company
        if company is not None:
            company.moment(given.as_of, now())
        elif given.as_of > now():
            raise ReadingError(
                f"as_of: {given.as_of:%Y-%m-%d %H:%M} lies in the future. Leave it out to ask about now."
            )
        vectors = vectors_of([given], self._contract(bundle, company), catalogue.definitions)
        yearly_churn = company.sources.yearly_churn if company else None
        decision = decide(vectors, bundle, catalogue, yearly_churn)[0]
        return answer(decision, catalogue, lang, {}, new_prediction_id(), _name_only(company, given.account_id))

    def page(self, filters: Mapping[str, str | None], limit: int, offset: int) -> dict[str, Any]:
        """Return one page of the book.

        Raises
        ------
        ReadingError
            A filter names a sign that the catalogue does not have.
        """
        return book_page(self.book, limit=limit, offset=offset, **filters)

    def model_summary(self) -> dict[str, Any]:
        """Tell which model answers, and why not another."""
        catalogue = self.catalogue
        champion = self.champion
        bundle = self._bundle()
        remedy = None
        if bundle is None:
            remedy = "`keepsight train --promote` makes a champion; until then the rules answer alone."
        elif champion is not None and champion.refused is not None:
            remedy = "Promote a model that fits, or take the refused one away; the one before stays in use."
        return {
            "model": bundle.version if bundle else None,
            "source": str(champion.folder) if champion is not None and bundle else None,
            "digest": bundle.digest if bundle else None,
            "horizon_days": bundle.horizon_days if bundle else HORIZON_WITHOUT_MODEL_DAYS,
            "versions": {
                "definitions": catalogue.definitions_fingerprint,
                "policy": catalogue.policy_fingerprint,
                "scorecard_policy": bundle.scorecard.policy_fingerprint
                if bundle
                else catalogue.policy_fingerprint,
                "catalogue_revision": catalogue.revision,
            },
            "refused": champion.refused if champion else None,
            "remedy": remedy,
            "model_card": bundle.model_card if bundle else None,
        }

    def _bundle(self) -> Bundle | None:
        """Return the model in use; None: the rules answer alone. A model asked for by name must be there."""
        champion = self._there(self.champion, "The model is being read.")
        if champion.bundle is None and self.settings.bundle is not None:
            raise NoModelError(
                f"{self.settings.bundle}: {champion.refused or 'no bundle here.'} Name another with --bundle, or "
                "leave it out to answer with the champion, or by the rules alone."
            )
        return champion.bundle

    def _contract(self, bundle: Bundle | None, company: Company | None) -> FeatureContract:
        if bundle is not None:
            return bundle.contract
        if company is not None:
            return company.contract(None, company.moment(None, now()))
        return feature_contract(self.catalogue, {})

    def _vector(self, company: Company, account_id: str, as_of: dt.datetime, contract: FeatureContract) -> Vectors:
        """Take the book's vector where it has the same one, else compute it."""
        book = self._book
        if book is not None and book.is_for(company, as_of, contract):
            found = book.vector(account_id)
            if found is not None:
                return found
        return company.vector(account_id, as_of, contract)


def _name_only(company: Company | None, account_id: str) -> AccountFacts:
    if company is None or account_id not in company.cards:
        return NO_FACTS
    return AccountFacts(company.cards[account_id].name)
