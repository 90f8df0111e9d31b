/** A value at a time. */
export interface Sample {
  readonly seconds: number;
  readonly value: number;
}

/** A straight line through samples: by how much the value grows in an hour, and how sure that is. */
export interface Slope {
  readonly perHour: number;
  /** Half the width of the interval that the true slope is in, in 95 of 100 cases, if the samples scatter independently. */
  readonly margin: number;
}

/** The least value of each stretch of so many seconds, in order: what is left when garbage has been collected. */
export function floorOf(samples: readonly Sample[], stretchSeconds: number): readonly Sample[] {
  const floor = new Map<number, Sample>();
  for (const sample of samples) {
    const stretch = Math.floor(sample.seconds / stretchSeconds);
    const least = floor.get(stretch);
    if (least === undefined || sample.value < least.value) floor.set(stretch, sample);
  }
  return [...floor.values()];
}

/** The line of least squares. Throws with fewer than three samples. */
export function slopeOf(samples: readonly Sample[]): Slope {
  const count = samples.length;
  if (count < 3) throw new Error(`${count} samples make no line`);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / count;
  const atX = mean(samples.map(({ seconds }) => seconds));
  const atY = mean(samples.map(({ value }) => value));
  let spread = 0;
  let shared = 0;
  for (const { seconds, value } of samples) {
    spread += (seconds - atX) ** 2;
    shared += (seconds - atX) * (value - atY);
  }
  const slope = shared / spread;
  const rest = samples.reduce(
    (sum, { seconds, value }) => sum + (value - atY - slope * (seconds - atX)) ** 2,
    0,
  );
  const error = Math.sqrt(rest / (count - 2) / spread);
  return { perHour: slope * 3600, margin: 1.96 * error * 3600 };
}
