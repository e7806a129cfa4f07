// What JSON makes of each type.
import type { Everything, Row } from "./types.js";

export const row: Row = { number: 1, text: "a" };

export function look(e: Everything, check: (what: string, got: unknown, want: unknown) => void): void {
  const at: string = e.at, local: string = e.local, offset: string = e.offset, wait: string = e.wait;
  check("times", [at, e.maybeAt, local, offset, wait], ["2026-11-26T15:30:01.123Z", "2026-11-26T15:30:01.123Z",
    "2026-11-26T15:30:01.123Z", "2026-11-26T17:00:01.123+01:30", "1.02:00:00.0030000"]);
  check("day and clock", [e.day, e.clock], ["2026-11-26", "15:30:01.1230000"]);
  check("texts", [e.name, e.key, e.letter, e.address, e.base64], ["Zoë", "00112233-4455-6677-8899-aabbccddeeff", "ß", "127.0.0.1", "b"]);
  const price: number = e.price, color: number = e.color, quoted: string = e.quoted;
  check("numbers", [e.id, price, color, e.colors, e.half, e.whole, e.small, e.yes], [42, -12.5, 1, [0, 1, 2, 9], 0.5, 1e300, -128, true]);
  check("quoted", quoted, "4503599627370496");
  check("bytes", e.data, "AP8=");
  check("lists", [e.tags, e.counts, e.parent?.tags], [["a", ""], { x: 1 }, ["a", ""]]);
  check("odd", e.odd, { "with space": 1, class: "c", own: "o" });
  check("what is left out", ["left" in e, "leftText" in e, "leftOdd" in e, e.none], [false, false, false, null]);
  check("what is not", [e.parent?.left, e.parent?.leftText, e.parent?.leftOdd?.own], [5, "here", "p"]);
}
