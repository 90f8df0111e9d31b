import { expect, test } from "bun:test";
import { createOneAtATime } from "../../src/providers/one-at-a-time.ts";

test("work under way is shared by those who ask for the same key, and by nobody else", async () => {
  const shared = createOneAtATime<string>();
  const works: PromiseWithResolvers<string>[] = [];
  const ask = (key: string): Promise<string> =>
    shared(key, () => {
      const work = Promise.withResolvers<string>();
      works.push(work);
      return work.promise;
    });
  const [first, same, other] = [ask("a"), ask("a"), ask("b")];
  expect(works).toHaveLength(2);
  works[0]?.resolve("done");
  expect(await Promise.all([first, same])).toEqual(["done", "done"]);
  const again = ask("a");
  expect(works).toHaveLength(3);
  works[1]?.resolve("for b");
  works[2]?.reject(new Error("broken"));
  expect(await other).toBe("for b");
  await expect(again).rejects.toThrow("broken");
  void ask("a");
  expect(works).toHaveLength(4);
});
