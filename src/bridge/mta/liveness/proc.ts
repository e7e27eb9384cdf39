/**
 * Liveness from the kernel's table of connections on this machine: `liveness: 'proc'`.
 *
 * It sees the MTA's connections when the MTA runs in the same network namespace, and then only those with the client's real address:
 * behind a proxy or after XCLIENT the client is never in the table, which is `unknown` and not `gone`. The table is read by a thread
 * of its own (`table-worker.ts`), started at the first question and ended when there were none for a while. A thread
 * that dies fails the looks it owed; the next look starts another.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { installation } from '../../../host/config/installation.ts'
import type { Clock } from '../../../host/time/clock.ts'
import {
  GONE,
  type Liveness,
  type LivenessQuestion,
  type LivenessSource,
  type Sight,
  type SmtpConnection,
  UNKNOWN,
} from '../../../host/time/liveness.ts'
import { ROW, type WantedIn, wantedRows } from './socket-table.ts'
import { NEW, type TableAnswer, type TableQuestion } from './table-question.ts'

/** Milliseconds without a question after which the thread ends. */
const IDLE = 60_000
/** For a hundred thousand rows; without a bound it would be given what the machine has. */
const HEAP_MEGABYTES = 192

export const procTable = (): LivenessSource => ({
  name: 'proc',
  open: ({ clock }) => new ProcTable(clock),
})

interface Owed {
  readonly questions: readonly LivenessQuestion[]
  /** Places in `questions` that the thread was asked for. */
  readonly asked: readonly number[]
  resolve(sights: Sight[]): void
  reject(error: Error): void
}

/** A connection that was asked for: where it would stand, and its place in the question in which it was last. */
interface Known {
  readonly rows: WantedIn | null
  question: number
  place: number
}

class ProcTable implements Liveness {
  cost = 0
  readonly #clock: Clock
  readonly #known = new WeakMap<SmtpConnection, Known>()
  readonly #owed = new Map<number, Owed>()
  #worker: Worker | null = null
  #count = 0
  /** The question that the thread remembers. */
  #remembered = 0
  #cancelIdle: (() => void) | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  look(questions: readonly LivenessQuestion[]): Promise<Sight[]> {
    const asked: number[] = []
    const known: Known[] = []
    for (const [index, { connection }] of questions.entries()) {
      const each = this.#knownOf(connection)
      if (each.rows === null) continue
      asked.push(index)
      known.push(each)
    }
    if (asked.length === 0) return Promise.resolve(questions.map(() => UNKNOWN))
    return new Promise((resolve, reject) => {
      const worker = this.#thread()
      const id = ++this.#count
      const seen = Uint8Array.from(asked, index => (questions[index]!.seen === null ? 0 : 1))
      this.#owed.set(id, { questions, asked, resolve, reject })
      worker.postMessage(this.#question(id, known, seen))
      this.#restartIdle()
    })
  }

  async close(): Promise<void> {
    this.#cancelIdle?.()
    const worker = this.#worker
    this.#worker = null
    this.#fail(new Error('it was closed'))
    await worker?.terminate()
  }

  #question(id: number, known: readonly Known[], seen: Uint8Array): TableQuestion {
    const places = new Uint32Array(known.length)
    const fresh: WantedIn[] = []
    for (const [place, each] of known.entries()) {
      if (each.question === this.#remembered) places[place] = each.place
      else {
        places[place] = NEW
        fresh.push(each.rows!)
      }
    }
    this.#remembered = id
    for (const [place, each] of known.entries()) Object.assign(each, { question: id, place })
    return { id, places, fresh, seen }
  }

  #knownOf(connection: SmtpConnection): Known {
    let known = this.#known.get(connection)
    if (known === undefined) {
      known = { rows: wantedRows(connection), question: 0, place: 0 }
      this.#known.set(connection, known)
    }
    return known
  }

  #thread(): Worker {
    if (this.#worker !== null) return this.#worker
    const worker = new Worker(workerUrl(), {
      // None of the program's own: a thread needs no loader for TypeScript, and no debugger.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES },
    })
    worker.unref()
    // A new thread remembers nothing; no question has this number.
    this.#remembered = -1
    worker.on('message', (answer: TableAnswer) => this.#answered(answer))
    const ended = (error: Error): void => {
      if (this.#worker !== worker) return
      this.#worker = null
      this.#fail(error)
    }
    worker.on('error', error => ended(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', code => ended(new Error(`its thread ended with ${code}`)))
    this.#worker = worker
    return worker
  }

  #answered(answer: TableAnswer): void {
    const owed = this.#owed.get(answer.id)
    if (owed === undefined) return
    this.#owed.delete(answer.id)
    if ('error' in answer) {
      owed.reject(new Error(answer.error))
      return
    }
    const { states, inodes, unread, cost } = answer
    this.cost = cost
    const sights: Sight[] = owed.questions.map(() => UNKNOWN)
    for (const [place, index] of owed.asked.entries())
      sights[index] = sightOf(states[place]!, inodes[place]!, unread[place] === 1, owed.questions[index]!.seen)
    owed.resolve(sights)
  }

  #fail(error: Error): void {
    for (const { reject } of this.#owed.values()) reject(error)
    this.#owed.clear()
  }

  #restartIdle(): void {
    this.#cancelIdle?.()
    this.#cancelIdle = this.#clock.after(IDLE, () => {
      const worker = this.#worker
      if (this.#owed.size > 0) return this.#restartIdle()
      this.#worker = null
      void worker?.terminate()
    })
  }
}

function sightOf(state: number, inode: number, unread: boolean, seen: string | null): Sight {
  switch (state) {
    case ROW.missing:
      return seen === null ? UNKNOWN : GONE
    case ROW.closeWait:
      return GONE
    case ROW.established: {
      const socket = String(inode)
      // Another connection between the same ports: the one that was seen is no more.
      return seen === null || seen === '' || seen === socket ? { state: 'present', socket, unread } : GONE
    }
    default:
      return UNKNOWN
  }
}

function workerUrl(): URL {
  const { root, checkout } = installation(import.meta.url)
  return pathToFileURL(
    join(root, checkout ? 'src/bridge/mta/liveness/table-worker.ts' : 'dist/bridge/mta/liveness/table-worker.js'),
  )
}
