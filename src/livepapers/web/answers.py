"""What the JSON API answers with, field by field: these classes are its documentation."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from livepapers.web.subscriptions import Frequency


class Told(BaseModel):
    """What was wrong, on one line."""

    error: str


class PaperCard(BaseModel):
    """A paper as lists have it."""

    model_config = ConfigDict(from_attributes=True)

    slug: str = Field(description="the paper's one name")
    title: str
    authors: list[str] = Field(description="given names first; empty where the source of an import names none")
    submitted: str = Field(description="YYYY-MM-DD, YYYY-MM or YYYY; empty where nobody knows")
    field: str = Field(description="empty for imported papers")
    tags: list[str]
    summary: str = Field(description="in our own words, never the abstract; empty for imported papers")
    link: str
    arxiv: str
    doi: str
    code_url: str
    source: str = Field(description='"catalogue", or how it was imported: "arxiv", "page", "bibtex"')
    status: str = Field(description='"listed", "runs" or "measured"')
    claims: int = Field(description="claims of the paper that were measured")
    added: float = Field(description="when it came to this page, in seconds since 1970, UTC")
    votes: int


class PaperList(BaseModel):
    """One page of a list."""

    papers: list[PaperCard]
    total: int = Field(description="papers of the whole list")
    page: int
    pages: int


class SearchList(PaperList):
    """One page of what a search finds."""

    meant: str = Field(description="the query that was answered: misspelt words replaced by words of the papers")


class Verdict(BaseModel):
    """A claim and what was measured of it."""

    id: str
    statement: str
    where: str = Field(description="in the paper")
    published: str = Field(description="the paper's own value")
    of_paper: bool = Field(description="false for questions that the study adds")
    headline: bool
    verdict: str
    reason: str
    effect_name: str
    effect: float | None
    interval: list[float] | None = Field(description="95 %, for display; the test decides")
    n: int = Field(description="pairs, or what the unit says")
    unit: str
    p_holm: float | None = Field(description="corrected over the paper's claims")
    scale: str = Field(description="the paper's protocol beside ours")
    needs: str = Field(description="what a claim that was not tested needs")


class Measured(BaseModel):
    """The run that the verdicts are from."""

    run: str
    preset: str
    date: str
    commit: str | None
    machine: dict[str, Any]
    versions: dict[str, str]
    command: str


class PaperDetail(PaperCard):
    """A paper with its published verdicts."""

    measured: Measured | None = None
    verdicts: list[Verdict] = []


class RunCard(BaseModel):
    """A run as the list has it."""

    id: str
    slug: str
    preset: str
    version: int = Field(description="of the study")
    status: str = Field(description='"running", "interrupted", "failed" or "finished"')
    started: float = Field(description="in seconds since 1970, UTC")
    finished: float | None
    cells: dict[str, int] = Field(description="how many there are in each state")
    progress: float = Field(description="0 to 1; cells under way count in part")
    commit: str | None


class RunList(BaseModel):
    """One page of the runs, newest first."""

    runs: list[RunCard]
    total: int
    page: int
    pages: int


class CellState(BaseModel):
    """One arm on one setting with one seed."""

    arm: str
    setting: str
    seed: int
    status: str
    progress: float
    wall: float | None = Field(description="seconds")
    error: str = Field(description="its last line; left out of pages that others than this machine reach")


class RunVerdict(BaseModel):
    """What a run says about a claim so far."""

    claim: str
    verdict: str
    written: float


class RunDetail(RunCard):
    """A run with its cells and verdicts."""

    machine: dict[str, Any]
    states: list[CellState]
    verdicts: list[RunVerdict]


class Vote(BaseModel):
    """Cast the reader's vote, or take it back."""

    model_config = ConfigDict(extra="forbid")

    up: StrictBool


class Voted(BaseModel):
    """The paper's votes now."""

    votes: int
    voted: bool


class SubscriptionRequest(BaseModel):
    """A digest that somebody asks for."""

    model_config = ConfigDict(extra="forbid")

    address: Annotated[str, Field(max_length=320)]
    frequency: Frequency = "daily"
    query: Annotated[str, Field(max_length=500, description="a saved search; empty is everything")] = ""


class Asked(BaseModel):
    """The same answer for every address, known or not."""

    told: str
