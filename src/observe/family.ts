/** Label names and their values. Values are any text: each output escapes them in its own way. */
export type Labels = Readonly<Record<string, string>>;

/** What is measured. `labels` names all labels of its series, in the order in which they are printed. */
export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** One phrase for the operator; the documentation prints it too. */
  readonly help: string;
  readonly labels: readonly string[];
}

/** One number of a metric. `name` is the metric's, but for a histogram, whose parts have own names. */
export interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/** A metric with its numbers of this moment. A series that never changed has none. */
export interface Family {
  readonly metric: Metric;
  samples(): readonly Sample[];
}

/** Numbers that only grow. */
export interface Counter extends Family {
  add(labels: Labels, amount?: number): void;
}

/** Numbers that are set. */
export interface Gauge extends Family {
  set(labels: Labels, value: number): void;
}

/** How often something took how long. */
export interface Histogram extends Family {
  observe(labels: Labels, value: number): void;
  /** Lets a series exist at 0, so that its first observation is seen as a rise. */
  declare(labels: Labels): void;
}

/**
 * Most series of one counter or gauge: text that clients choose (players' names) must not fill the memory.
 */
export const seriesLimit = 10_000;

interface Series {
  readonly labels: Labels;
  value: number;
}

/**
 * A counter with at most `limit` series. A new one beyond that replaces the one that has not changed for the
 * longest time; should that come back it starts at 0, which Prometheus takes for a restart.
 */
export function createCounter(metric: Metric, limit = seriesLimit): Counter {
  const series = createSeries(metric, limit, () => true);
  return {
    metric,
    add: (labels, amount = 1) => series.change(labels, (value) => value + amount),
    samples: series.samples,
  };
}

/**
 * A gauge with at most `limit` series. A new one replaces the one that is at 0 for the longest time; where
 * none is at 0 it is left out.
 */
export function createGauge(metric: Metric, limit = seriesLimit): Gauge {
  const series = createSeries(metric, limit, (value) => value === 0);
  return {
    metric,
    set: (labels, value) => series.change(labels, () => value),
    samples: series.samples,
  };
}

/**
 * A histogram whose buckets end at these values, in ascending order; one more takes what is above. Its
 * labels must be of a fixed set.
 */
export function createHistogram(metric: Metric, bounds: readonly number[]): Histogram {
  const all = new Map<string, { labels: Labels; counts: number[]; sum: number }>();
  const bucket = `${metric.name}_bucket`;

  function seriesOf(labels: Labels): { labels: Labels; counts: number[]; sum: number } {
    const key = keyOf(metric, labels);
    const known = all.get(key);
    if (known !== undefined) return known;
    const series = { labels, counts: new Array(bounds.length + 1).fill(0), sum: 0 };
    all.set(key, series);
    return series;
  }

  function observe(labels: Labels, value: number): void {
    const series = seriesOf(labels);
    const found = bounds.findIndex((bound) => value <= bound);
    const index = found === -1 ? bounds.length : found;
    series.counts[index] = (series.counts[index] ?? 0) + 1;
    series.sum += value;
  }

  function samples(): readonly Sample[] {
    return [...all.values()].flatMap(({ labels, counts, sum }) => {
      let count = 0;
      const buckets = counts.map((own, index) => {
        count += own;
        const le = numberText(bounds[index] ?? Number.POSITIVE_INFINITY);
        return { name: bucket, labels: { ...labels, le }, value: count };
      });
      return [
        ...buckets,
        { name: `${metric.name}_sum`, labels, value: sum },
        { name: `${metric.name}_count`, labels, value: count },
      ];
    });
  }

  return { metric, observe, declare: seriesOf, samples };
}

/** A metric whose value is read at each scrape. Null has no number at the moment. */
export function createReading(
  metric: Metric,
  read: () => readonly { readonly labels: Labels; readonly value: number | null }[],
): Family {
  return {
    metric,
    samples: () =>
      read().flatMap(({ labels, value }) =>
        value === null ? [] : [{ name: metric.name, labels, value }],
      ),
  };
}

/** A number as Prometheus reads it. */
export function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

/** Series by their labels, bounded. Those that may be dropped are kept in the order of their last change. */
function createSeries(metric: Metric, limit: number, mayDrop: (value: number) => boolean) {
  const kept = new Map<string, Series>();
  const droppable = new Map<string, Series>();
  /** Where the last drop stopped: a Map skips all deleted entries each time its first key is asked for. */
  let oldestFirst = droppable.keys();

  function change(labels: Labels, next: (value: number) => number): void {
    const key = keyOf(metric, labels);
    const known = droppable.get(key) ?? kept.get(key);
    if (known === undefined && kept.size + droppable.size >= limit && !dropOldest()) return;
    const series = known ?? { labels, value: 0 };
    series.value = next(series.value);
    kept.delete(key);
    droppable.delete(key);
    (mayDrop(series.value) ? droppable : kept).set(key, series);
  }

  function dropOldest(): boolean {
    let oldest = oldestFirst.next();
    if (oldest.done) {
      oldestFirst = droppable.keys();
      oldest = oldestFirst.next();
    }
    return !oldest.done && droppable.delete(oldest.value);
  }

  function samples(): readonly Sample[] {
    const { name } = metric;
    return [...kept.values(), ...droppable.values()].map(({ labels, value }) => ({
      name,
      labels,
      value,
    }));
  }

  return { change, samples };
}

/** One text per combination of label values, whatever they hold. */
const keyOf = (metric: Metric, labels: Labels): string =>
  JSON.stringify(metric.labels.map((name) => labels[name]));
