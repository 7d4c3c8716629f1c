/**
 * The live half of the API: one WebSocket, numbered messages, and a way back after every break.
 *
 * Within a channel numbers have no gaps. A private channel is resumed after the last number seen, so that nothing is
 * missed or seen twice; a public one begins again with a snapshot.
 */
import { backOffMs } from "@/lib/back-off";

const PING_MS = 5_000;
// Two pings without any answer: the line is dead, though the browser may not know it yet.
const SILENCE_MS_MAX = 11_000;
const UNAUTHENTICATED = 4401;

export interface ChannelMessage {
  readonly channel: string;
  readonly seq: number;
  readonly type: "snapshot" | "update";
  readonly time: string;
  readonly data: unknown;
}

export interface StreamStatus {
  readonly open: boolean;
  /** Of this page's clock, in ms; null before the first. */
  readonly lastMessageAt: number | null;
  /** Since when there has been no open socket; null while there is one. */
  readonly downSince: number | null;
}

export interface StreamParts {
  readonly openSocket: () => WebSocket;
  /** The server knows nobody: renew the session. True where it is worth asking again. */
  readonly renewSession: () => Promise<boolean>;
  readonly random: () => number;
}

interface Channel {
  readonly handler: (message: ChannelMessage) => void;
  readonly resumes: boolean;
  lastSeq: number | null;
}

export class Stream {
  readonly #parts: StreamParts;
  readonly #channels = new Map<string, Channel>();
  readonly #statusListeners = new Set<() => void>();
  readonly #reconnectListeners = new Set<() => void>();
  #socket: WebSocket | null = null;
  #attempt = 0;
  #wasOpen = false;
  #renewing = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #lastHeardAt = 0;
  #status: StreamStatus = { open: false, lastMessageAt: null, downSince: Date.now() };

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#socket === null) this.#connect();
  }

  stop(): void {
    clearTimeout(this.#retryTimer);
    this.#drop();
  }

  /** Ends this connection and opens another at once: who is signed in is decided when a socket opens. */
  reconnect = (): void => {
    clearTimeout(this.#retryTimer);
    this.#drop();
    this.#attempt = 0;
    this.#connect();
  };

  /** One handler a channel. Returns the way to leave it. */
  subscribe(channel: string, options: { resumes: boolean }, handler: Channel["handler"]): () => void {
    const entry: Channel = { handler, resumes: options.resumes, lastSeq: null };
    this.#channels.set(channel, entry);
    this.#ask(channel, entry);
    return () => {
      if (this.#channels.get(channel) !== entry) return;
      this.#channels.delete(channel);
      this.#send({ op: "unsubscribe", channel });
    };
  }

  get status(): StreamStatus {
    return this.#status;
  }

  readonly onStatus = (listener: () => void): (() => void) => {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  };

  /** Called each time the line is back after a break. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  #connect(): void {
    const socket = this.#parts.openSocket();
    this.#socket = socket;
    socket.addEventListener("open", () => this.#opened(socket));
    socket.addEventListener("message", (event: MessageEvent<unknown>) => this.#received(socket, event.data));
    socket.addEventListener("close", (event) => this.#closed(socket, event.code));
  }

  #opened(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    this.#lastHeardAt = Date.now();
    this.#setStatus({ open: true, downSince: null });
    for (const [name, channel] of this.#channels) this.#ask(name, channel);
    this.#pingTimer = setInterval(() => this.#checkLine(), PING_MS);
    if (this.#wasOpen) for (const listener of this.#reconnectListeners) listener();
    this.#wasOpen = true;
  }

  #received(socket: WebSocket, text: unknown): void {
    if (socket !== this.#socket || typeof text !== "string") return;
    this.#lastHeardAt = Date.now();
    const message = readMessage(text);
    if (message === null) return;
    if ("error" in message) this.#refused(message.error);
    else this.#deliver(message);
  }

  #deliver(message: ChannelMessage): void {
    const channel = this.#channels.get(message.channel);
    if (channel === undefined) return;
    this.#attempt = 0;
    this.#setStatus({ lastMessageAt: this.#lastHeardAt });
    if (message.type === "update") {
      if (channel.lastSeq === null || message.seq <= channel.lastSeq) return;
      if (message.seq > channel.lastSeq + 1) {
        this.#ask(message.channel, channel);
        return;
      }
    }
    channel.lastSeq = message.seq;
    channel.handler(message);
  }

  #refused(error: WireError): void {
    if (error.code === "AUTHENTICATION_ERROR") void this.#renew();
    // The number we would resume after is unknown there (its data was reset): begin again.
    if (error.field === "after") {
      for (const [name, channel] of this.#channels) {
        if (!channel.resumes) continue;
        channel.lastSeq = null;
        this.#ask(name, channel);
      }
    }
  }

  async #renew(): Promise<void> {
    // Each private channel is refused by itself; one renewal serves them all.
    if (this.#renewing) return;
    this.#renewing = true;
    try {
      if (await this.#parts.renewSession()) this.reconnect();
    } catch {
      this.#drop();
      this.#retryLater();
    } finally {
      this.#renewing = false;
    }
  }

  #closed(socket: WebSocket, code: number): void {
    if (socket !== this.#socket) return;
    this.#drop();
    if (code !== UNAUTHENTICATED) {
      this.#retryLater();
      return;
    }
    // Where the session is over, the next socket is nobody's: prices still flow.
    const again = () => this.#retryLater();
    this.#parts.renewSession().then(again, again);
  }

  #retryLater(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#connect(), backOffMs(this.#attempt, this.#parts.random));
    this.#attempt += 1;
  }

  #checkLine(): void {
    if (Date.now() - this.#lastHeardAt > SILENCE_MS_MAX) {
      this.#drop();
      this.#retryLater();
      return;
    }
    this.#send({ op: "ping" });
  }

  #drop(): void {
    clearInterval(this.#pingTimer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null && socket.readyState <= WebSocket.OPEN) socket.close();
    if (this.#status.open) this.#setStatus({ open: false, downSince: Date.now() });
  }

  #ask(name: string, channel: Channel): void {
    const after = channel.resumes && channel.lastSeq !== null ? { after: channel.lastSeq } : {};
    this.#send({ op: "subscribe", channel: name, ...after });
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #setStatus(change: Partial<StreamStatus>): void {
    this.#status = { ...this.#status, ...change };
    for (const listener of this.#statusListeners) listener();
  }
}

interface WireError {
  readonly code: string;
  readonly field: string | undefined;
}

/** Null for what is none of ours, such as a pong. */
function readMessage(text: string): ChannelMessage | { readonly error: WireError } | null {
  const message: unknown = JSON.parse(text);
  if (typeof message !== "object" || message === null) return null;
  if ("channel" in message && "seq" in message && "type" in message) return message as ChannelMessage;
  if (!("error" in message)) return null;
  const { code, details } = message.error as { code: string; details?: Record<string, string> };
  return { error: { code, field: details?.["field"] } };
}
