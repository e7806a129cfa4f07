// What MessagePack makes of each type.
import { Color, type Everything, type Row } from "./types.js";

export const row: Row = [1, "a"];

export function look(e: Everything, check: (what: string, got: unknown, want: unknown) => void): void {
  const at: Date = e.At, local: Date = e.Local, [clock, minutes]: [Date, number] = e.Offset, wait: number = e.Wait;
  check("times", [at, e.MaybeAt, local, clock], ["2026-11-26T15:30:01.123Z", "2026-11-26T15:30:01.123Z",
    "2026-11-26T15:30:01.123Z", "2026-11-26T17:00:01.123Z"]);
  check("times", [at instanceof Date, local instanceof Date, clock instanceof Date, minutes], [true, true, true, 90]);
  check("ticks and days", [wait, e.Clock, e.Day], [936000030000, 558011230000, 739945]);
  const letter: number = e.Letter, price: string = e.Price, color: string = e.Color, quoted: number = e.Quoted;
  check("texts", [e.Name, e.Key, price, e.Address, e.Base64], ["Zoë", "00112233-4455-6677-8899-aabbccddeeff", "-12.5", "127.0.0.1", "b"]);
  check("numbers", [e.Id, letter, quoted, e.Half, e.Whole, e.Small, e.Yes], [42, 223, 4503599627370496, 0.5, 1e300, -128, true]);
  check("enums", [color, e.Color === Color.darkblue, e.Colors], ["dark blue", true, ["Red", "dark blue", "class", "9"]]);
  const data: Uint8Array = e.Data;
  check("bytes", [data instanceof Uint8Array, [...data]], [true, [0, 255]]);
  check("lists", [e.Tags, e.Counts, e.Parent?.Tags], [["a", ""], { x: 1 }, ["a", ""]]);
  check("odd", e.Odd, { "with space": 1, class: "c", Odd: "o" });
  check("what is left out", ["Left" in e, "LeftText" in e, "LeftOdd" in e, e.None], [false, false, false, null]);
  check("what is not", [e.Parent?.Left, e.Parent?.LeftText, e.Parent?.LeftOdd?.Odd], [5, "here", "p"]);
}
