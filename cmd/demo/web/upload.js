// Uploads in chunks, and streams of the hub.
import { reason } from "./client.js";

const chunkSize = 12 * 1024; // a message may have 32 KiB, and JSON carries bytes as base64
const ahead = 8;             // chunks that are on their way

/**
 * Sends bytes to the hub, and calls progress with how many it has. Returns what
 * the hub's SHA-256 of them is.
 */
export function upload(client, bytes, progress) {
    const chunks = new signalR.Subject();
    const binary = client.kind.protocol === "MessagePack";
    let sent = 0, sum = "", over = false;
    const more = () => {
        if (over) return;
        if (sent < bytes.length) {
            const chunk = bytes.subarray(sent, sent += chunkSize);
            chunks.next(binary ? chunk : base64(chunk));
        }
        if (sent >= bytes.length) {
            over = true;
            chunks.complete();
        }
    };
    return new Promise((resolve, reject) => {
        client.connection.stream("Upload", bytes.length, chunks).subscribe({
            next: ({ received, sha256 }) => { sum = sha256; progress(received); more(); },
            complete: () => resolve(sum),
            error: (e) => { over = true; reject(new Error(reason(e))); },
        });
        for (let i = 0; i < ahead; i++) more();
    });
}

const base64 = (chunk) => btoa(String.fromCharCode(...chunk));

/** The SHA-256 of bytes in hexadecimal digits, or undefined where the browser has none: without https, but for this machine. */
export async function sha256(bytes) {
    if (!globalThis.crypto?.subtle) return undefined;
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(sum, (b) => b.toString(16).padStart(2, "0")).join("");
}
