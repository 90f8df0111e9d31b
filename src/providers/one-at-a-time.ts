/** Does the work for a key, unless it is under way already: then whoever asks shares it, with what comes of it. */
export type OneAtATime<T> = (key: string, work: () => Promise<T>) => Promise<T>;

/** Nothing is under way yet. */
export function createOneAtATime<T>(): OneAtATime<T> {
  const underWay = new Map<string, Promise<T>>();
  return (key, work) => {
    const known = underWay.get(key);
    if (known !== undefined) return known;
    const begun = work().finally(() => underWay.delete(key));
    underWay.set(key, begun);
    return begun;
  };
}
