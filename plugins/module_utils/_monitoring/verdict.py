# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release is as quick as its latency table asks: met, missed, or not enough data to say."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import time
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, ask
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules as _monitoring
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.times import seconds_of

Facts = t.Mapping[str, t.Any]
# A label set and its value.
Series = tuple[dict[str, str], float]
Query = t.Callable[[str], list[Series]]

MET, MISSED, UNKNOWN = "met", "missed", "not enough data"
# Probes, not requests: a handful says as much of a page as it ever will.
GAUGE_SAMPLES = 5
JOB = re.compile(r'\bjob="([^"]+)"')
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
# Seconds below which a window may hold a single scrape, and so no increase.
SHORTEST_WINDOW = 30


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the verdict. `value` is the fraction of requests within the target, or a gauge's quantile."""

    metric: str
    quantile: float
    target_seconds: float
    verdict: str
    samples: int
    needed: int
    value: float | None
    says: str


def samples_needed(quantile: float) -> int:
    """Requests below which a service that misses its target would too often be called one that meets it."""
    if quantile <= 0.5:
        return 200
    return 500 if quantile <= 0.95 else 2000


def overall(verdicts: t.Sequence[str]) -> str:
    """Missed as soon as one row is; met only when every row is."""
    if MISSED in verdicts:
        return MISSED
    return MET if verdicts and set(verdicts) == {MET} else UNKNOWN


def judge(target: Facts, source: Facts | None, value: float | None, samples: float | None, minimum: int | None) -> Row:
    """The verdict on one row of the table, given what Prometheus says (`None`: nothing)."""
    quantile, limit = float(target["quantile"]), float(target["target_seconds"])
    gauge = source is not None and not _monitoring.is_histogram(source)
    needed = GAUGE_SAMPLES if gauge else minimum or samples_needed(quantile)
    seen = round(samples or 0)
    verdict, because = UNKNOWN, f"{seen} of {needed} {'probes' if gauge else 'requests'}"
    if source is None:
        because = "nothing measures it"
    elif seen >= needed and value is None:
        because = f"no bucket of {source.get('histogram', 'its source')} ends at {limit:g} s"
    elif seen >= needed and value is not None:
        # A fraction out of Prometheus carries the rounding of its extrapolation.
        good = value <= limit if gauge else value >= quantile - 1e-9
        verdict = MET if good else MISSED
        because = f"{value:.3g} s over {seen} probes" if gauge else f"{value:.2%} of {seen} requests were that fast"
    name = f"{target['metric']} {_monitoring.percentile(quantile)} within {limit:g} s"
    return Row(str(target["metric"]), quantile, limit, verdict, seen, needed, value, f"{name}: {verdict} ({because})")


def queries(target: Facts, source: Facts, window: str) -> tuple[str, str]:
    """The two questions of a row: its value, and out of how many samples. Of several gauges, the slowest counts."""
    if _monitoring.is_histogram(source):
        limit = float(target["target_seconds"])
        return _monitoring.within(source, limit, window), _monitoring.requests(source, window)
    probes = f"({source['gauge']})[{window}:15s]"
    quantile = _monitoring.number(float(target["quantile"]))
    return f"max(quantile_over_time({quantile}, {probes}))", f"sum(count_over_time({probes}))"


def running(metric: str, version: str, query: Query) -> dict[str, list[str]] | None:
    """The instances that report the version, by job; None where no metric has a version."""
    series = query(metric) if metric and version else []
    if not series:
        return None
    found: dict[str, list[str]] = {}
    for labels, _value in series:
        instances = found.setdefault(labels.get("job", ""), [])
        if labels.get("version") == version:
            instances.append(labels.get("instance", ""))
    return found


def of_instances(source: Facts, instances: t.Iterable[str]) -> Facts:
    """The source with only the series of these instances, its failures included."""
    pattern = "|".join(re.escape(name).replace("\\", "\\\\") for name in sorted(set(instances)))
    own = f'instance=~"{pattern}"'

    def narrowed(part: Facts) -> dict[str, t.Any]:
        return {**part, "matchers": ", ".join(filter(None, (part.get("matchers", ""), own)))}

    failures = source.get("failures")
    return {**narrowed(source), **({"failures": narrowed(failures)} if failures else {})}


def of_version(source: Facts, found: t.Mapping[str, list[str]] | None) -> Facts | None:
    """The source with only what the release answered; None where no instance reports its version.

    A source of another job is not the application's, and stays as it is.
    """
    if found is None or not _monitoring.is_histogram(source):
        return source
    named = JOB.search(str(source.get("matchers", "")))
    if named and named[1] not in found:
        return source
    instances = found[named[1]] if named else [name for names in found.values() for name in names]
    return of_instances(source, instances) if instances else None


def first(series: t.Sequence[Series]) -> float | None:
    """A query's single number; None for no series and for NaN, which is Prometheus's word for no traffic."""
    value = series[0][1] if series else None
    return None if value is None or math.isnan(value) else value


def describe(name: str, labels: Facts) -> str:
    """One fault found by a condition: its name, and the labels of the series it was found on."""
    told = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__")
    return f"{name}: {told}" if told else name


def faults(conditions: t.Sequence[Facts], query: Query) -> list[str]:
    """What is wrong now: each series that a condition's query returns."""
    return [describe(row["name"], labels) for row in conditions for labels, _value in query(row["query"])]


def error_window(usual: int, longest: int, since: float | None) -> int:
    """Seconds that error fractions look back: to the moment from which this release serves alone, or the `usual`."""
    return usual if since is None else round(min(longest, max(SHORTEST_WINDOW, since)))


def error_row(source: Facts, ratio: float, window: int, query: Query) -> dict[str, t.Any]:
    """The verdict on the failed requests of one counter; `fault` is set where there are too many."""
    total = first(query(_monitoring.counted(source, f"{window}s")))
    by = source.get("by", "")
    found = query(f"sum by ({by}) ({_monitoring.failed(source, f'{window}s')})") if total else []
    parts = {labels.get(by, ""): value for labels, value in found if value > 0 and not math.isnan(value)}
    # What has failed was answered too, even where the total was scraped a moment earlier.
    failures, seen = sum(parts.values()), max(total or 0.0, sum(parts.values()))
    row = {"name": source["name"], "failed": round(failures), "samples": round(seen), "fault": ""}
    if not seen:
        return {**row, "verdict": UNKNOWN, "says": f"{source['name']}: {UNKNOWN} (no request in {window} s)"}
    shown = ", ".join(f"{by} {key}: {value:.0f}" for key, value in sorted(parts.items()) if by)
    says = f"{failures / seen:.2%} of {seen:.0f} requests in {window} s failed{f' ({shown})' if shown else ''}"
    bad = failures / seen > ratio
    return {
        **row,
        "verdict": MISSED if bad else MET,
        "says": f"{source['name']}: {says}",
        "fault": f"{source['name']}: {says}, at most {ratio:.2%} may" if bad else "",
    }


@dataclasses.dataclass(frozen=True)
class Target:
    """A target of Prometheus: `age` is the seconds since its last scrape (infinite before the first one)."""

    name: str
    interval: float
    age: float


class Source(t.Protocol):
    """What a verdict asks of Prometheus."""

    def query(self, expression: str) -> list[Series]: ...

    def targets(self) -> list[Target]: ...


def unseen(targets: t.Iterable[Target], unchanged: float, longest: float) -> list[str]:
    """The targets whose last scrape is older than `unchanged` seconds, of those scraped at least every `longest`."""
    return sorted(target.name for target in targets if target.interval <= longest and target.age > unchanged)


def as_target(row: Facts, now: float) -> Target:
    """A row of /api/v1/targets."""
    labels = row["labels"]
    scraped = seconds_of(row["lastScrape"])
    name = f"job={labels.get('job', '')}, instance={labels.get('instance', '')}"
    return Target(name, parse_seconds(row["scrapeInterval"]), now - scraped if scraped > 0 else math.inf)


def parse_seconds(text: str) -> float:
    """Seconds of a duration as Prometheus writes it, such as 1m30s or 500ms."""
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


class Prometheus:
    """The Prometheus at `url`, asked with `access`; each question may take `timeout` seconds."""

    def __init__(self, url: str, timeout: float = 10, access: Access | None = None) -> None:
        self._url, self._timeout, self._access = url, timeout, access

    def query(self, expression: str) -> list[Series]:
        """The series that an instant query returns."""
        asked = urllib.parse.urlencode({"query": expression})
        document = self._ask(f"query?{asked}", "that the query is one: " + expression)
        with self._reading(document):
            return [(dict(row["metric"]), float(row["value"][1])) for row in document["data"]["result"]]
        return []

    def range(self, expression: str, start: float, end: float, step: int) -> list[tuple[float, float]]:
        """The points of the first series that a range query returns."""
        given = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": str(step)}
        document = self._ask(f"query_range?{urllib.parse.urlencode(given)}", "that the query is one: " + expression)
        with self._reading(document):
            found = document["data"]["result"]
            return [(float(at), float(value)) for at, value in found[0]["values"]] if found else []
        return []

    def targets(self) -> list[Target]:
        """All targets that it scrapes."""
        document = self._ask("targets?state=active", "that nothing in front of it refuses /api/v1/targets")
        clock = self._ask("query?query=time()", "that it answers queries")
        with self._reading(document):
            now = float(clock["data"]["result"][1])
            return [as_target(row, now) for row in document["data"]["activeTargets"]]
        return []

    def _ask(self, path: str, look_at: str) -> t.Any:
        answer = ask(f"{self._url.rstrip('/')}/api/v1/{path}", timeout=self._timeout, access=self._access)
        document = answer.document
        if answer.status != 200 or not isinstance(document, dict):
            cause = (document or {}).get("error") if isinstance(document, dict) else ""
            if answer.status == 401:
                cause, look_at = (
                    "it asks for another user or password",
                    "that user and password are among its web users",
                )
            raise InfraError(
                "ask Prometheus at",
                self._url,
                cause or answer.reason or f"HTTP {answer.status}",
                f"See that it runs (systemctl status prometheus on its host), and {look_at}",
            )
        return document

    @contextlib.contextmanager
    def _reading(self, document: t.Any) -> t.Iterator[None]:
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise InfraError(
                "read the answer of Prometheus at",
                self._url,
                f"it is not the result of a query: {str(document)[:200]}",
                "See that this is the address of a Prometheus, and not of something in front of it.",
            ) from error


@dataclasses.dataclass(frozen=True)
class Release:
    """What is judged: the version, and the metric that names it. Both empty: whatever ran in the window."""

    version: str = ""
    metric: str = ""


WHATEVER_RUNS: t.Final = Release()


def rows(
    targets: t.Sequence[Facts],
    sources: t.Mapping[str, Facts],
    query: Query,
    window: str,
    *,
    minimum: int | None,
    release: Release = WHATEVER_RUNS,
) -> list[Row]:
    """The verdict on every row of the table."""
    found = []
    instances = running(release.metric, release.version, query)
    for target in targets:
        source = sources.get(target["metric"])
        own = of_version(source, instances) if source else None
        asked = queries(target, own, window) if own else None
        value, samples = (first(query(asked[0])), first(query(asked[1]))) if asked else (None, None)
        row = judge(target, source, value, samples, minimum)
        if source and not own:
            row = dataclasses.replace(row, says=f"{row.says[:-1]}; no instance reports version {release.version})")
        found.append(row)
    return found


def undecided(found: t.Sequence[Row], sources: t.Mapping[str, Facts]) -> bool:
    """Whether more data can change the verdict: some row lacks samples, and none is missed already."""
    lacking = any(row.samples < row.needed and sources.get(row.metric) for row in found)
    return lacking and all(row.verdict != MISSED for row in found)


def settle(seen: t.Callable[[], bool], seconds: float, pause: float = 2.0) -> bool:
    """Wait at most `seconds` until `seen` holds; says whether it does."""
    end = time.monotonic() + seconds
    while not (done := seen()) and time.monotonic() < end:
        time.sleep(pause)
    return done


def verdict(parameters: Facts, source: Source) -> dict[str, t.Any]:
    """Everything the module returns: faults of the moment, each row, failed requests, and the verdict over all."""
    begun, query = time.monotonic(), source.query
    targets, sources = parameters["targets"], parameters["sources"]
    release = Release(parameters.get("version") or "", parameters.get("version_metric") or "")
    counted = next((sources[row["metric"]] for row in targets if sources.get(row["metric"], {}).get("histogram")), None)
    wrong: list[str] = []
    errors: list[dict[str, t.Any]] = []

    def since() -> float | None:
        """Seconds since the release serves alone. What was before leaves the windows while this waits."""
        serving = parameters.get("serving_seconds")
        return None if serving is None else serving + time.monotonic() - begun

    def window() -> str:
        longest = parameters["window_seconds"]
        return f"{error_window(longest, longest, since())}s"

    def judged() -> list[Row]:
        return rows(targets, sources, query, window(), minimum=parameters["minimum_samples"], release=release)

    def settled() -> bool:
        waited = time.monotonic() - begun
        back = error_window(parameters.get("error_window_seconds", 45), parameters["window_seconds"], since())
        ratio = parameters.get("maximum_error_ratio", 1.0)
        # Before what they measure is asked for, so that the answers below are not older than this one.
        unchanged = (parameters.get("unchanged_seconds") or 0.0) + waited
        scraped = [target for target in source.targets() if target.interval <= parameters["wait_seconds"]]
        old = unseen(scraped, unchanged, parameters["wait_seconds"])
        errors[:] = [error_row(row, ratio, back, query) for row in parameters.get("errors", ())]
        wrong[:] = [
            *(row["fault"] for row in errors if row["fault"]),
            *faults(parameters["conditions"], query),
            *(f"a target was not scraped since the last change: {name}" for name in old),
        ]
        expected = parameters["expect_samples"] if counted else 0
        # The increase of a series leaves out what it began with: for a new instance, the requests before its first
        # scrape. So what every target was scraped for since the requests is as much as there will be.
        enough = not expected or (scraped and not unseen(scraped, waited, parameters["wait_seconds"]))
        enough = enough or (first(query(_monitoring.requests(counted or {}, window()))) or 0) >= expected
        return not wrong and bool(enough)

    settle(settled, parameters["wait_seconds"])
    found = judged()
    if (patience := parameters.get("samples_wait_seconds") or 0) and not wrong and undecided(found, sources):
        settle(lambda: not undecided(judged(), sources), patience)
        settled()
        found = judged()
    return {
        "faults": wrong,
        "errors": [{key: value for key, value in row.items() if key != "fault"} for row in errors],
        "rows": [dataclasses.asdict(row) for row in found],
        "verdict": overall([*(row.verdict for row in found), *(row["verdict"] for row in errors)]),
    }
