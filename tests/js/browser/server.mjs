// A server of a suite's own, and the network in front of it: both can be killed, and come back as they were.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, open } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PASSWORD_MARK } from './people.mjs';
import { until } from './wait.mjs';

/** Connections between browsers and the server. */
class Network {
  #pairs = new Set();
  #isDown = false;
  #isDeaf = false;
  #server;
  /** What browsers send goes through this first, where there is one. */
  rewrite;

  static async to(port) {
    const network = new Network();
    network.#server = createServer((near) => network.#join(near, port));
    network.#server.listen(0, '127.0.0.1');
    await once(network.#server, 'listening');
    network.port = network.#server.address().port;
    return network;
  }

  #join(near, port) {
    if (this.#isDown) return near.destroy();
    const far = connect(port, '127.0.0.1');
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = () => { near.destroy(); far.destroy(); this.#pairs.delete(pair); };
    for (const socket of [near, far]) socket.setNoDelay(true).on('error', end).on('close', end);
    near.on('data', (bytes) => far.write(this.rewrite ? Buffer.from(this.rewrite(bytes.toString('latin1')), 'latin1') : bytes));
    far.on('data', (bytes) => near.write(bytes));
    if (this.#isDeaf) far.pause();
    return undefined;
  }

  /** Ends all connections, in the middle of whatever they carry, and lets in none until `mend`. */
  cut() {
    this.#isDown = true;
    // Node 20 never closes a socket that it resets while it is being ended.
    const reset = (socket) => (socket.writableEnded ? socket.destroy() : socket.resetAndDestroy());
    for (const { near, far } of this.#pairs) { reset(near); reset(far); }
    this.#pairs.clear();
  }

  /** What browsers send arrives, and nothing comes back; nobody is told. */
  swallowAnswers() {
    this.#isDeaf = true;
    for (const { far } of this.#pairs) far.pause();
  }

  /** From now on all is well again. What was swallowed arrives late, if its connection is still there. */
  mend() {
    this.#isDown = false;
    this.#isDeaf = false;
    for (const { far } of this.#pairs) far.resume();
  }

  close() {
    this.cut();
    this.#server.close();
  }
}

/** None of them outlives this process. */
const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
process.once('SIGTERM', () => process.exit(143));

export class Server {
  #child;
  #folder;
  #settings;

  /** The program that `SERVER` names, on an empty data folder; `settings` are its environment. */
  static async start(settings = {}) {
    const program = process.env.SERVER;
    if (!program) throw new Error('SERVER has to name the program of the server');
    const server = new Server();
    server.program = program;
    server.#folder = await mkdtemp(join(tmpdir(), 'chat-browser-'));
    server.#settings = { ...settings };
    server.port = await server.#launch(0);
    server.network = await Network.to(server.port);
    /** Where browsers find it. */
    server.url = `http://127.0.0.1:${server.network.port}`;
    /** Past the network, for what a test looks up. */
    server.direct = `http://127.0.0.1:${server.port}`;
    return server;
  }

  async #launch(port) {
    const log = await open(join(this.#folder, 'log'), 'a');
    const seen = (await this.log()).length;
    const { PATH, HOME, TMPDIR, DATABASE_URL } = process.env;
    const basics = { PATH, HOME, TMPDIR, DATABASE_URL, HOST: '127.0.0.1', PORT: port, DATA_DIR: join(this.#folder, 'data'), SHIELD: 'off' };
    const env = Object.fromEntries(Object.entries({ ...basics, ...this.#settings }).filter(([, value]) => value !== undefined));
    this.#child = spawn(this.program, { cwd: this.#folder, env, stdio: ['ignore', log.fd, log.fd] });
    running.add(this.#child);
    const failure = new Promise((_, reject) => { this.#child.once('error', reject); });
    const listening = until('the server to print its address', async () => {
      const text = (await this.log()).slice(seen);
      assert.equal(this.#child.exitCode, null, `the server ended at its start:\n${text}`);
      return /listening on http:\/\/127\.0\.0\.1:(\d+)\D/.exec(text)?.[1];
    });
    const found = await Promise.race([listening, failure]);
    await log.close();
    return Number(found);
  }

  log() {
    return readFile(join(this.#folder, 'log'), 'utf8').catch(() => '');
  }

  /** `SIGKILL`, and it is gone. */
  async kill(signal = 'SIGKILL') {
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
    running.delete(this.#child);
  }

  /** Once more on the same data, at the same address; with these settings on top from now on. */
  async launch(settings = {}) {
    Object.assign(this.#settings, settings);
    await this.#launch(this.port);
  }

  /** Ends it, and looks through its log. */
  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    this.network.close();
    const log = await this.log();
    await rm(this.#folder, { recursive: true, force: true });
    for (const [secret, what] of [[PASSWORD_MARK, 'a password'], ['$2b$', 'a hash'], ['eyJ', 'a token'], ['panicked at', 'a panic']]) {
      assert.ok(!log.includes(secret), `the server's log shows ${what}: ${log.split('\n').find((line) => line.includes(secret))}`);
    }
  }
}
