import {
  type Counter,
  createCounter,
  createGauge,
  type Family,
  type Gauge,
  numberText,
  type Sample,
} from "./family.ts";
import { mcRouterMetrics, type Recorder } from "./recorder.ts";

/** The media type of `prometheusText`. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/** Lines in one part of the text: about a millisecond's work. */
const partLines = 500;

/**
 * The families' numbers for a Prometheus server, sorted by the metrics' names; a family without numbers is
 * left out. The text comes in parts, so that a caller with thousands of series can let the event loop run in
 * between.
 * Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function* prometheusParts(families: readonly Family[]): Generator<string> {
  for (const family of families.toSorted(byName)) {
    const { metric } = family;
    const samples = family.samples();
    if (samples.length === 0) continue;
    const help = metric.help.replace(/[\\\n]/g, escaped);
    yield `# HELP ${metric.name} ${help}\n# TYPE ${metric.name} ${metric.type}\n`;
    for (let from = 0; from < samples.length; from += partLines) {
      yield samples
        .slice(from, from + partLines)
        .map(sampleText)
        .join("");
    }
  }
}

/** mc-router's metrics as Prometheus knows them: a series exists from its first change on. */
export function createPrometheusRecorder(): {
  readonly recorder: Recorder;
  readonly families: readonly Family[];
} {
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  for (const [key, { prometheus: name, type, help, labels }] of Object.entries(mcRouterMetrics)) {
    const metric = { name, type, help, labels };
    if (type === "counter") counters.set(key, createCounter(metric));
    else gauges.set(key, createGauge(metric));
  }
  return {
    recorder: {
      add: (metric, labels, amount) => counters.get(metric)?.add(labels, amount),
      set: (metric, labels, value) => gauges.get(metric)?.set(labels, value),
    },
    families: [...counters.values(), ...gauges.values()],
  };
}

const byName = (a: Family, b: Family): number => (a.metric.name < b.metric.name ? -1 : 1);

function sampleText({ name, labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${text.replace(/[\\\n"]/g, escaped)}"`,
  );
  const braces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${name}${braces} ${numberText(value)}\n`;
}

const escaped = (character: string): string => (character === "\n" ? "\\n" : `\\${character}`);
