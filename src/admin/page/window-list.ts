import { make } from "./dom.ts";

/** One row of a list: its element, and how it shows another item. */
export interface Row<T> {
  readonly element: HTMLLIElement;
  show(item: T): void;
}

/** A list that has elements for the rows in sight only. */
export interface WindowList<T> {
  show(items: readonly T[]): void;
}

/** What a list needs. */
interface WindowListDeps<T> {
  /** The element that scrolls. */
  readonly box: HTMLElement;
  /** What the list is called for a screen reader. */
  readonly label: string;
  /** What is said when there is no item. */
  readonly empty: string;
  /** The height of each row on a wide and on a narrow screen, px. */
  readonly height: { readonly wide: number; readonly narrow: number };
  keyOf(item: T): string;
  makeRow(): Row<T>;
}

/** Rows beyond what is in sight, so that scrolling shows no gap. */
const spare = 4;

/** An empty list in its box. Rows keep their elements while they are in sight, so that the focus stays. */
export function createWindowList<T>(deps: WindowListDeps<T>): WindowList<T> {
  const { box } = deps;
  const list = make("ul");
  const empty = make("p", "empty", deps.empty);
  const narrow = matchMedia("(max-width: 640px)");
  const rows = new Map<string, Row<T>>();
  let items: readonly T[] = [];

  list.setAttribute("role", "list");
  list.setAttribute("aria-label", deps.label);
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", deps.label);
  box.append(empty, list);

  function render(): void {
    const height = narrow.matches ? deps.height.narrow : deps.height.wide;
    list.style.height = `${items.length * height}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - spare);
    const last = Math.min(
      items.length,
      Math.ceil((box.scrollTop + box.clientHeight) / height) + spare,
    );
    const gone = new Set(rows.keys());
    for (let index = first; index < last; index += 1) {
      const item = items[index];
      if (item === undefined) continue;
      const key = deps.keyOf(item);
      gone.delete(key);
      place(rowOf(key), item, index, height);
    }
    for (const key of gone) {
      rows.get(key)?.element.remove();
      rows.delete(key);
    }
  }

  function rowOf(key: string): Row<T> {
    const known = rows.get(key);
    if (known !== undefined) return known;
    const row = deps.makeRow();
    row.element.classList.add("row");
    rows.set(key, row);
    list.append(row.element);
    return row;
  }

  function place(row: Row<T>, item: T, index: number, height: number): void {
    const { element } = row;
    element.style.height = `${height}px`;
    element.style.top = `${index * height}px`;
    element.setAttribute("aria-setsize", String(items.length));
    element.setAttribute("aria-posinset", String(index + 1));
    row.show(item);
  }

  box.addEventListener("scroll", () => requestAnimationFrame(render), { passive: true });
  narrow.addEventListener("change", render);
  addEventListener("resize", render);

  return {
    show(shown) {
      items = shown;
      empty.hidden = items.length > 0;
      list.hidden = items.length === 0;
      render();
    },
  };
}
