import { InjectionToken } from "@angular/core";

/** A node of the app. */
export interface Node { name: string; url: string; running: boolean }

/** One client on the page: its key, its name at first, its node as an index, and the path of its app, which may be "". */
export interface Pane { key: string; user: string; home: number; path: string }

/** What the page shows, as the server says in config.json. anyNode is the URL of a balancer in front of the nodes, if there is one. */
export interface Config { backplane: boolean; here: string; anyNode?: string; nodes: Node[]; panes: Pane[] }

export const CONFIG = new InjectionToken<Config>("what the page shows");
