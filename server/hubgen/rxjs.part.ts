/** How long to wait before each try to connect again, in milliseconds; the last is repeated for ever. */
const retryDelays = [1000, 2000, 5000, 10000, 30000];

/** A connection that has lasted for so long was a good one: the next try comes early again. */
const goodConnection = 30000;

/** The delay before the n-th try, from 0, half of it at random: not all clients of a node come back at once. */
function retryDelay(n: number): number {
  return (retryDelays[Math.min(n, retryDelays.length - 1)] ?? 30000) * (0.5 + Math.random());
}

/** Keeps a connection: starts it, starts it again whenever it has ended, and joins each time. */
class LiveHub {
  readonly #states: BehaviorSubject<HubConnectionState>;
  readonly #errors = new Subject<unknown>();
  readonly #joins = new Set<() => Promise<unknown>>();
  #running = false;
  #tries = 0;
  #since = 0; // when the connection was made
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The state of the connection, now and from now on. */
  readonly state$: Observable<HubConnectionState>;

  /** What went wrong: a try to connect, the end of the connection, a function of rejoin. All of them are tried again. */
  readonly errors$: Observable<unknown> = this.#errors.asObservable();

  constructor(readonly connection: HubConnection) {
    this.#states = new BehaviorSubject(connection.state);
    this.state$ = this.#states.pipe(distinctUntilChanged());
    connection.onreconnecting((error) => this.#report(error));
    connection.onreconnected(() => this.#connected());
    connection.onclose((error) => {
      this.#report(error);
      this.#retry();
    });
  }

  /**
   * Connects, and connects again whenever the connection has ended, until stop. It returns at once: state$ and errors$
   * tell how it goes. A second call does nothing. Subscribe to messages and call rejoin before it: what comes
   * while nobody listens is lost.
   */
  start(): void {
    if (this.#running) {
      return;
    }
    this.#running = true;
    this.#tries = 0;
    if (this.connection.state === HubConnectionState.Connected) {
      this.#connected();
    } else {
      void this.#connect();
    }
  }

  /** Ends the connection, and is done when it has ended. start begins anew. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.connection.stop();
    this.#states.next(this.connection.state);
  }

  /** Is done when there is a connection, which may be now. It does not start one. */
  async whenConnected(): Promise<void> {
    await firstValueFrom(this.#states.pipe(filter((state) => state === HubConnectionState.Connected)));
  }

  /**
   * Runs join whenever a connection was made, and now if there is one: for the server each is a new connection, which
   * is in no group. The function that it returns ends that.
   */
  rejoin(join: () => Promise<unknown>): () => void {
    const own = () => join(); // the same function may be given twice
    this.#joins.add(own);
    if (this.#states.value === HubConnectionState.Connected) {
      void this.#join(own);
    }
    return () => {
      this.#joins.delete(own);
    };
  }

  async #join(join: () => Promise<unknown>): Promise<void> {
    const id = this.connection.connectionId;
    try {
      await join();
    } catch (error) {
      if (this.connection.state === HubConnectionState.Connected && this.connection.connectionId === id) {
        this.#errors.next(error);
      } // else the connection was lost meanwhile, and the next one joins anew
    }
  }

  async #connect(): Promise<void> {
    if (this.connection.state !== HubConnectionState.Disconnected) {
      return; // it is on its way, and onclose or start tells of it
    }
    const start = this.connection.start();
    this.#states.next(this.connection.state);
    try {
      await start;
    } catch (error) {
      this.#report(error);
      this.#retry();
      return;
    }
    this.#connected();
  }

  #connected(): void {
    this.#since = Date.now();
    this.#states.next(this.connection.state);
    this.#joins.forEach((join) => void this.#join(join));
  }

  #report(error: unknown): void {
    this.#states.next(this.connection.state);
    if (error && this.#running) {
      this.#errors.next(error);
    }
  }

  #retry(): void {
    if (!this.#running || this.connection.state !== HubConnectionState.Disconnected) {
      return;
    }
    if (this.#since > 0 && Date.now() - this.#since > goodConnection) {
      this.#tries = 0;
    }
    this.#since = 0;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), retryDelay(this.#tries++));
  }
}

/** The calls of a method of this client, as long as somebody listens. */
function messages<T>(connection: HubConnection, method: string, value: (...args: any[]) => T): Observable<T> {
  return new Observable((observer) => {
    const handler = (...args: any[]) => observer.next(value(...args));
    connection.on(method, handler);
    return () => connection.off(method, handler);
  });
}

/** A stream of the hub: begins when somebody subscribes, and is cancelled when they unsubscribe. */
function items<T>(connection: HubConnection, method: string, ...args: unknown[]): Observable<T> {
  return new Observable((observer) => {
    const [passed, uploads] = sending(args);
    let over = false;
    const stream = connection.stream<T>(method, ...passed).subscribe({
      next: (item) => observer.next(item),
      error: (error) => { over = true; uploads.unsubscribe(); observer.error(error); },
      complete: () => { over = true; uploads.unsubscribe(); observer.complete(); },
    });
    return () => {
      uploads.unsubscribe();
      if (!over) {
        stream.dispose();
      }
    };
  });
}

/** A call with streams of this client, which end with it. */
async function upload<T>(connection: HubConnection, method: string, ...args: unknown[]): Promise<T> {
  const [passed, uploads] = sending(args);
  try {
    return await connection.invoke<T>(method, ...passed);
  } finally {
    uploads.unsubscribe();
  }
}

/** The arguments with streams that unsubscribe ends, without the end of a stream being sent. */
function sending(args: unknown[]): [unknown[], Subscription] {
  const all = new Subscription();
  const passed = args.map((arg) => isObservable(arg)
    ? new Observable((observer) => {
        const one = arg.subscribe(observer);
        all.add(one);
        return one;
      })
    : arg);
  return [passed, all];
}

