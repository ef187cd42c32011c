// The queues of an rmb-peer, as handlers use them (rmb-rs, docs/readme.md): what goes out, what comes in, and nothing about swaps.

import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';

const LOCAL = 'msgbus.system.local';
const PREFIX = 'msgbus.';

/** A request of another twin, as the peer puts it into `msgbus.<command>`. */
interface Asked {
  ref: string;
  src: string;
  dat: string;
  ret: string;
}

/** An answer of another twin, as the peer puts it into the queue that the request named. */
interface Told {
  ref: string;
  dat: string;
  err?: { code: number; message: string } | null;
}

/** Another twin's refusal. What `twinswap` refuses has a stable name, `errorType`. */
export class RmbError extends Error {
  readonly code: number;
  readonly errorType?: string;

  constructor(code: number, text: string) {
    const refusal = parse(text) as { message?: string; data?: { error_type?: string } } | undefined;
    super(refusal?.message ?? text);
    this.code = code;
    this.errorType = refusal?.data?.error_type;
  }
}

/** Answers one command of others. What it throws becomes an error for who asked. */
export type Handler = (request: unknown, from: string) => Promise<unknown>;

export class Rmb {
  private readonly url: string;
  private readonly answers = `${PREFIX}handler.answers.${randomUUID()}`;
  private readonly waiting = new Map<string, (told: Told) => void>();
  private readonly readers: Connection[] = [];
  private readonly writer: Connection;
  private closed = false;

  private constructor(url: string, writer: Connection) {
    this.url = url;
    this.writer = writer;
  }

  static async connect(url: string): Promise<Rmb> {
    const rmb = new Rmb(url, await connection(url));
    await rmb.read<Told>(rmb.answers, (told) => rmb.waiting.get(told.ref)?.(told));
    return rmb;
  }

  /** Calls a command of a twin, this one's own included. Waits no longer than `seconds`. */
  async call(twin: number, command: string, request: unknown, seconds = 60): Promise<unknown> {
    const ref = randomUUID();
    const told = new Promise<Told>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${command}: no answer within ${seconds} s`)), seconds * 1000);
      this.waiting.set(ref, (told) => {
        clearTimeout(late);
        resolve(told);
      });
    }).finally(() => this.waiting.delete(ref));
    const message = { ver: 1, ref, cmd: command, exp: seconds, dat: encode(request), tag: null, dst: [twin], ret: this.answers };
    await this.push(LOCAL, message);
    const { err, dat } = await told;
    if (err) throw new RmbError(err.code, err.message);
    return decode(dat);
  }

  /** From here on `command` is answered by `handler`. */
  async serve(command: string, handler: Handler): Promise<void> {
    await this.read<Asked>(`${PREFIX}${command}`, async ({ ref, src, dat, ret }) => {
      const answer = await handler(decode(dat), src).then(
        (result) => ({ dat: encode(result) }),
        (error: unknown) => ({ dat: '', err: { code: 400, message: error instanceof Error ? error.message : String(error) } }),
      );
      await this.push(ret, { ver: 1, ref, dst: src, ...answer });
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const open of [...this.readers, this.writer]) open.destroy();
  }

  private async push(queue: string, message: object): Promise<void> {
    const stamp = { shm: 'application/json', now: Math.floor(Date.now() / 1000) };
    await this.writer.lPush(queue, JSON.stringify({ ...message, ...stamp }));
  }

  /** A queue that is waited for needs a connection of its own. Junk in it is passed over. */
  private async read<M>(queue: string, take: (message: M) => unknown): Promise<void> {
    const reader = await connection(this.url);
    this.readers.push(reader);
    const loop = async () => {
      while (!this.closed) {
        const next = await reader.brPop(queue, 0).catch(() => undefined);
        const message = next && parse(next.element);
        if (message && typeof message === 'object') void take(message as M);
      }
    };
    void loop();
  }
}

type Connection = Awaited<ReturnType<typeof connection>>;

async function connection(url: string) {
  const client = createClient({ url });
  client.on('error', (error) => console.error(`redis: ${error}`));
  await client.connect();
  return client;
}

/** JSON in ASCII, in base64: some clients read nothing else. */
function encode(value: unknown): string {
  const escape = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return Buffer.from((JSON.stringify(value) ?? 'null').replace(/[^\x00-\x7f]/g, escape)).toString('base64');
}

function decode(dat: string): unknown {
  const text = Buffer.from(dat, 'base64').toString();
  return text === '' ? {} : JSON.parse(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
