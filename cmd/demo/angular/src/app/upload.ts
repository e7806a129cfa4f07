import { ChangeDetectionStrategy, Component, input, signal } from "@angular/core";
import { type Observable, Subject, map } from "rxjs";
import { reason } from "./fleet";
import { PostHubService, type Progress } from "./post-hub";
import type { Session } from "./session";

const chunkSize = 12 * 1024; // a message may have 32 KiB, and JSON carries bytes as base64
const ahead = 8; // chunks that are on their way

/** A file in chunks, and how far it is. */
@Component({
  selector: "div[appUpload]",
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `
    <h3>Upload</h3>
    <div class="row">
      <button type="button" class="upload" [disabled]="busy()" (click)="random()">Send 2 MB</button>
      <label class="file">or a file <input #file type="file" [disabled]="busy()" (change)="chosen(file)"></label>
    </div>
    <progress [max]="size()" [value]="received()" aria-label="Upload"></progress>
    <p class="uploaded" role="status">{{ said() }}</p>`,
})
export class Upload {
  readonly session = input.required<Session>();
  readonly busy = signal(false);
  readonly size = signal(1);
  readonly received = signal(0);
  readonly said = signal("");

  random(): void {
    const bytes = new Uint8Array(2_000_000);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536)); // takes no more at once
    void this.send("2 MB", bytes);
  }

  async chosen(input: HTMLInputElement): Promise<void> {
    const file = input.files?.[0];
    if (!file) return;
    await this.send(file.name, new Uint8Array(await file.arrayBuffer()));
    input.value = "";
  }

  private async send(name: string, bytes: Uint8Array): Promise<void> {
    this.busy.set(true);
    this.received.set(0);
    this.size.set(Math.max(1, bytes.length));
    this.said.set(`${name} is on its way`);
    try {
      const sum = await this.upload(bytes), own = await sha256(bytes);
      if (own !== undefined && own !== sum) throw new Error("the node has other bytes");
      this.said.set(`${name} has arrived: SHA-256 ${sum.slice(0, 12)}…${own === undefined ? "" : ", the same here"}`);
    } catch (e) {
      this.said.set(`${name}: ${reason(e)}`);
    }
    this.busy.set(false);
  }

  /** Sends bytes, not too far ahead of what the hub has, and returns the hub's SHA-256 of them. */
  private upload(bytes: Uint8Array): Promise<string> {
    const { hub } = this.session();
    const chunks = new Subject<Uint8Array>();
    const progress: Observable<Progress> = hub instanceof PostHubService
      ? hub.upload(bytes.length, chunks.pipe(map(base64)))
      : hub.upload(bytes.length, chunks);
    let sent = 0, sum = "";
    const more = () => {
      if (sent < bytes.length) chunks.next(bytes.subarray(sent, (sent += chunkSize)));
      if (sent >= bytes.length) chunks.complete();
    };
    return new Promise((resolve, reject) => {
      progress.subscribe({
        next: (p) => {
          sum = p.sha256;
          this.received.set(p.received);
          more();
        },
        complete: () => resolve(sum),
        error: reject,
      });
      for (let i = 0; i < ahead; i++) more();
    });
  }
}

const base64 = (chunk: Uint8Array) => btoa(String.fromCharCode(...chunk));

/** The SHA-256 of bytes in hexadecimal digits, or undefined where the browser has none: without https, but for this machine. */
async function sha256(bytes: Uint8Array): Promise<string | undefined> {
  if (!globalThis.crypto?.subtle) return undefined;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(sum, (b) => b.toString(16).padStart(2, "0")).join("");
}
