// The rooms of one client.

/** Every client is in all rooms, and looks at one. */
export const rooms = ["Lobby", "Go", "Angular"];

/** How many lines a room keeps. */
const kept = 100;

/** Shows the rooms in a pane. A room keeps what is said while one looks at another. */
export class Chat {
    looked = rooms[0];
    lines = new Map(rooms.map((room) => [room, []]));
    unread = new Map(rooms.map((room) => [room, 0]));

    constructor(pane) {
        this.list = pane.querySelector(".lines");
        this.buttons = new Map(rooms.map((room) => {
            const button = document.createElement("button");
            button.type = "button";
            button.addEventListener("click", () => this.look(room));
            pane.querySelector(".rooms").append(button);
            return [room, button];
        }));
        this.look(this.looked);
    }

    look(room) {
        this.looked = room;
        this.unread.set(room, 0);
        this.list.replaceChildren(...this.lines.get(room));
        this.list.scrollTop = this.list.scrollHeight;
        for (const name of rooms) this.label(name);
    }

    /** Adds what somebody says in a room. A room that this page does not know is none of its business. */
    said(room, name, text) {
        if (!this.lines.has(room)) return;
        const line = document.createElement("li");
        const who = document.createElement("b");
        who.textContent = name;
        line.append(who, ` ${text}`);
        this.add(room, line);
        if (room === this.looked) return;
        this.unread.set(room, this.unread.get(room) + 1);
        this.label(room);
    }

    /** Adds a line to every room: kind is post or note. */
    tell(kind, text) {
        for (const room of rooms) {
            const line = document.createElement("li");
            line.className = kind;
            line.textContent = text;
            this.add(room, line);
        }
    }

    add(room, line) {
        const lines = this.lines.get(room);
        lines.push(line);
        if (lines.length > kept) lines.shift().remove();
        if (room !== this.looked) return;
        this.list.append(line);
        this.list.scrollTop = this.list.scrollHeight;
    }

    label(room) {
        const button = this.buttons.get(room), n = this.unread.get(room);
        button.setAttribute("aria-pressed", String(room === this.looked));
        button.textContent = room;
        if (n === 0) return;
        const badge = document.createElement("span");
        badge.className = "unread";
        badge.textContent = n;
        const words = document.createElement("span");
        words.className = "only-read";
        words.textContent = " unread";
        badge.append(words);
        button.append(badge);
    }
}
